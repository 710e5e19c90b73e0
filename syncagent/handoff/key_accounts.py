"""Lists of accounts that the admin has written down: names, domains or CRM ids. The first list that has one counts."""

from collections.abc import Collection, Mapping

from syncagent.handoff.companies import domains_of
from syncagent.model import AccountView, Dossier, Value
from syncagent.model.company import clean_name, mail_domain, same_words, website_domain


class KeyAccounts:
    """The lists, ready to be asked. An entry with a dot and no space is a domain; any other may be an id, or a name."""

    def __init__(self, lists: Mapping[str, Collection[str]], free_mail: Collection[str]) -> None:
        self._free_mail = free_mail
        self._ids: dict[str, str] = {}
        self._domains: dict[str, str] = {}
        self._names: dict[str, str] = {}
        for name, entries in lists.items():
            for entry in entries:
                self._ids.setdefault(entry, name)
                if (domain := domain_in(entry)) or not (words := same_words(clean_name(entry))):
                    self._domains.setdefault(domain, name)
                else:
                    self._names.setdefault(words, name)
        self._domains.pop("", None)

    def of_account(self, account: AccountView) -> str:
        """The list that an account is in, by its id, the domains that it tells, or its name; else empty."""
        found = self._ids.get(account.id) or self._first(self._domains, set(domains_of(account)))
        return found or self._names.get(same_words(clean_name(account.name)), "")

    def of_person(self, dossier: Dossier, attributes: Mapping[str, Value]) -> str:
        """The list that somebody is of by their mail domain, or by the company that they name; else empty."""
        mail = {domain for one in (*dossier.emails, *dossier.shared) if (domain := mail_domain(one, self._free_mail))}
        found = self._first(self._domains, mail)
        if found or mail or dossier.account is not None:  # whose mail is elsewhere may name any company
            return found
        return self._names.get(same_words(clean_name(str(attributes.get("company") or ""))), "")

    @staticmethod
    def _first(lists: Mapping[str, str], names: Collection[str]) -> str:
        return next((name for key, name in lists.items() if key in names), "")


def domain_in(entry: str) -> str:
    """The domain that an entry of a list means; empty when it is an id or a name."""
    return website_domain(entry) if "." in entry and not set(entry.strip()) & set(" ,&") else ""
