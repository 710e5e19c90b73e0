"""Email addresses as they are compared, and which of them say who somebody is.

Two spellings of one mailbox are one address; what cannot be an address, and what is written where an address is
missing, joins nobody; a mailbox that several people read joins only people of the same name. So does a mobile number.
"""

import re
import unicodedata
from collections.abc import Sequence
from fnmatch import translate
from typing import Literal

import idna
from msgspec import Struct

from syncagent.model.facts import Identity, Value

_DESKS = """
abuse accounting accounts admin administracao administracion administratie administration administrator ap ar
atencion atendimento backoffice billing board booking bookings buchhaltung buero bureau careers cobranca comercial
commercial compras compta comptabilite contabilidad contabilidade contabilita contact contacto contactus contato
contatti customercare customerservice customersupport desk dev direction dispatch editor einkauf empfang enquiries
enquiry events facturacion facturation feedback finance financeiro finanzas fundraising geral gerencia hallo hello
help helpdesk hi hola hostmaster hr info informacion informacoes information informatique inkoop inquiries inquiry
international invoice invoices it jobs klantenservice kontakt kundenservice legal logistics logistik mail mailbox
management marketing media membership office operations ops orders pedidos personal personeel post postmaster praxis
press presse procurement purchase purchasing reception redaktion reklamation reservations root rrhh sac sales
secretaria secretaris secretary security sekretariat service services shop soporte staff stammdaten studio suporte
support team tech tickets ufficio usermaster vendas vendite ventas verkauf verkoop versand vertrieb verwaltung web
webmaster welcome zentrale
"""
SHARED = frozenset(_DESKS.split())
"""Local parts of mailboxes that several people read. Our own list; `[identity] shared` adds to it."""

_FILLERS = """
anonymous do-not-reply do.not.reply do_not_reply donotreply empty fake invalid mailer-daemon missing n/a no-email
no-mail no-reply no.email no.mail no.reply no_email no_mail no_reply nobody noemail noemailaddress noemailprovided
nomail noname none noreply not-provided not.provided not_provided notprovided null undefined unknown
"""
_NOBODY = frozenset(_FILLERS.split())
"""Local parts that are written where an address is missing, or that nobody reads."""

MOBILE = ("mobile", "mobile_phone")
"""Attributes that hold somebody's own number; what is called `phone` may be a family's or a switchboard's."""

_GMAIL = ("gmail.com", "googlemail.com")
_PLAIN = re.compile(r"[\w%/!#$&*=?^`{|}~-][\w.%+'/!#$&*=?^`{|}~-]{0,63}(?<!\.)@[A-Za-z0-9.-]+", re.ASCII)
_IN_BRACKETS = re.compile(r"<([^<>]*)>")
_COMMENT = re.compile(r"\([^()]*\)")
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NOT_PEOPLE = ("invalid", "localhost", "local", "localdomain", "onion")
_SELECTORS = frozenset(map(chr, range(0xFE00, 0xFE10)))  # they choose how a letter looks, and are seen by nobody
_NO_DIGIT = re.compile(r"[\s()+./\u2010-\u2015-]+")
_KEPT_DIGITS = 9  # country codes and leading zeros are written or not
_COUNTED = ("123456789", "987654321")
_EDGES = " \t\r\n.,;:'\"`<>[]|"


class AddressRules(Struct, frozen=True):
    """What an admin may say of addresses. Patterns are globs on the whole address ("reservations@*").

    `plus_tags`, `gmail_dots`: "ignore" takes ana+news@ for ana@, and a.na at a Gmail address for ana.
    `placeholders` join nobody; `shared` are read by several people, `not_shared` by one in spite of the name.
    `phones` are attributes that hold a number of one person: with the same full name it joins.
    """

    plus_tags: Literal["keep", "ignore"] = "keep"
    gmail_dots: Literal["keep", "ignore"] = "keep"
    placeholders: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    not_shared: tuple[str, ...] = ()
    phones: tuple[str, ...] = MOBILE


def read_address(text: str) -> str:
    """The address in a field, in the one spelling that is compared; empty when there is none.

    Case, invisible characters, Unicode's several ways of writing one letter, internationalised domains and what
    people leave around an address ("Ana <ana@example.com>;") make no difference. A field that holds two addresses
    holds none: nobody could say whose it is.
    """
    text = text.strip()
    if not (text.isascii() and _PLAIN.fullmatch(text)):
        text = _bare(text)
    local, at, domain = text.rpartition("@")
    local, domain = local.lower(), _domain(domain)
    if not at or not local or len(local) > 64 or not domain or "@" in local or ".." in local:
        return ""
    if any(not each.isprintable() or each.isspace() or each in '"(),:;<>[\\]' for each in local):
        return ""
    return f"{local}@{domain}"


def _bare(text: str) -> str:
    """Without what is invisible, around the address, or in another form of the same letters."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(each for each in text if unicodedata.category(each) not in ("Cf", "Cc") and each not in _SELECTORS)
    inside = _IN_BRACKETS.findall(text)
    if len(inside) == 1 and "@" in inside[0]:
        text = inside[0]
    text = _COMMENT.sub("", text).strip(_EDGES)
    if text[:7].casefold() == "mailto:":
        text = text[7:].partition("?")[0]
    return text.strip(_EDGES)


def _domain(domain: str) -> str:
    """A domain as it is compared, in ASCII; empty when mail cannot go there."""
    domain = domain.rstrip(".")
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode()
        except (idna.IDNAError, UnicodeError):
            return ""
    domain = domain.lower()
    labels = domain.split(".")
    if len(labels) < 2 or len(domain) > 253 or not all(map(_LABEL.fullmatch, labels)):
        return ""
    if labels[-1] in _NOT_PEOPLE or labels[-1].isdigit():
        return ""
    return domain


def domain_of(address: str) -> str:
    """What stands behind the @ of an address that was read."""
    return address.rpartition("@")[2]


class Addresses:
    """The rules, ready to run: from the addresses of one fact to the names under which it joins others."""

    def __init__(self, rules: AddressRules = AddressRules()) -> None:  # noqa: B008 - it is frozen
        self._rules = rules
        self._nobody = _any_of(rules.placeholders)
        self._shared = _any_of(rules.shared)
        self._own = _any_of(rules.not_shared)

    def keys(self, emails: Sequence[str], named: dict[str, Value], identity: Identity) -> tuple[str, ...]:
        """Under which names these addresses join one fact to others: a function of this fact alone.

        So the order in which facts are told cannot matter. A mailbox of one person is its address. A shared one is
        its address and the full name, so that it joins what tells the same name; without a name it joins nobody, and
        is kept as this identity's own. A mobile number is the number and the full name: families share telephones.
        """
        keys: list[str] = []
        for email in emails:
            address = read_address(email)
            if not address or self.is_placeholder(address):
                continue
            if self.is_shared(address):
                keys.append(shared_key(address, full_name(named)) or own_key(address, identity))
                continue
            keys.append(address)
            mailbox = self._mailbox(address)
            if mailbox != address:
                keys.append(mailbox)
        numbers = [read_number(named[phone]) for phone in self._rules.phones if phone in named]
        if any(numbers) and (name := full_name(named)):
            keys += [f"tel:{number} {name}" for number in numbers if number]
        return tuple(dict.fromkeys(keys))

    def is_placeholder(self, address: str) -> bool:
        """Whether it only fills a field: nobody is meant."""
        local, _, domain = address.rpartition("@")
        if local in _NOBODY or (local == "test" and domain.partition(".")[0] == "test"):
            return True
        return self._nobody is not None and self._nobody.fullmatch(address) is not None

    def is_shared(self, address: str) -> bool:
        """Whether several people read it."""
        if self._own is not None and self._own.fullmatch(address):
            return False
        local = address.rpartition("@")[0].partition("+")[0]
        return local in SHARED or (self._shared is not None and self._shared.fullmatch(address) is not None)

    def _mailbox(self, address: str) -> str:
        local, _, domain = address.rpartition("@")
        if self._rules.plus_tags == "ignore":
            local = local.partition("+")[0] or local
        if self._rules.gmail_dots == "ignore" and domain in _GMAIL:
            local, domain = local.replace(".", ""), _GMAIL[0]
        return f"{local}@{domain}"


def read_number(value: Value) -> str:
    """The last digits of a telephone number, however it is written; empty when it is none, or only fills a field."""
    digits = _NO_DIGIT.sub("", str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not (digits.isascii() and digits.isdecimal() and len(digits) >= _KEPT_DIGITS):
        return ""
    kept = digits[-_KEPT_DIGITS:]
    return "" if len(set(kept)) <= 2 or kept in _COUNTED else kept


def shared_key(address: str, name: str) -> str:
    """A shared mailbox and who writes from it; empty without a name."""
    return f"{address} {name}" if name else ""


def own_key(address: str, identity: Identity) -> str:
    """An address that is known of this identity, and joins it to nobody."""
    return f"{address} #{identity.system}/{identity.object}/{identity.id}"


def full_name(named: dict[str, Value]) -> str:
    """First and last name as compared, or the whole name; empty unless both are there."""
    first, last = named.get("first_name"), named.get("last_name")
    if isinstance(first, str) and isinstance(last, str):
        parts = (_compared(first), _compared(last))
        return " ".join(parts) if all(parts) else ""
    whole = _compared(str(named.get("name") or ""))
    return whole if " " in whole else ""


def _compared(name: str) -> str:
    if name.lstrip()[:1] in ("[", "("):  # "[not provided]" is no name
        return ""
    letters = unicodedata.normalize("NFKD", name).casefold()
    plain = "".join(each if each.isalnum() else " " for each in letters if not unicodedata.combining(each))
    return " ".join(plain.split())


def _any_of(globs: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(translate(glob.strip().casefold()) for glob in globs)) if globs else None
