"""Which company somebody belongs to: by mail domain, else by website, else by a cleaned name. Free mail makes none.

Pure: routing matches leads to accounts with it. The lists are our own; `[identity] free_mail` adds to them.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from typing import Literal

from msgspec import Struct

from syncagent.model import Value
from syncagent.model.address import domain_of, read_address

_EVERYWHERE = frozenset(("aol", "gmx", "hotmail", "live", "msn", "outlook", "yahoo", "yandex", "ymail"))
"""Free mail under the domain of every country."""

_FREE = """
163.com 126.com abv.bg aim.com arcor.de att.net bellsouth.net bigpond.com bluewin.ch bol.com.br btinternet.com
centrum.cz charter.net comcast.net cox.net daum.net docomo.ne.jp duck.com earthlink.net email.com email.cz emailn.de
ezweb.ne.jp fastmail.com fastmail.fm foxmail.com free.fr freemail.hu freenet.de globo.com gmail.com googlemail.com
hanmail.net hey.com hushmail.com icloud.com ig.com.br inbox.lv inbox.ru interia.pl juno.com kakao.com keemail.me
laposte.net libero.it list.ru love.com mac.com mail.bg mail.com mail.de mail.ee mail.ru mailbox.org me.com naver.com
nate.com netscape.net neuf.fr ntlworld.com o2.pl onet.pl op.pl optonline.net optusnet.com.au orange.fr outlook.com
pm.me posteo.de posteo.net proton.me protonmail.ch protonmail.com qq.com r7.com rambler.ru rediffmail.com
rocketmail.com sapo.pt sbcglobal.net seznam.cz sfr.fr shaw.ca sina.com sky.com skynet.be softbank.ne.jp sohu.com
t-online.de talktalk.net telefonica.net telenet.be telus.net terra.com.br tiscali.co.uk tiscali.it tuta.com
tutanota.com tutanota.de ukr.net uol.com.br verizon.net videotron.ca virgilio.it virginmedia.com wanadoo.fr web.de
wp.pl xtra.co.nz ya.ru yeah.net zoho.com zohomail.com
"""
_FREE_MAIL = frozenset(_FREE.split())

_SECOND = frozenset(
    ("ac", "co", "com", "edu", "gob", "gov", "gv", "ltd", "ne", "net", "nom", "or", "org", "plc", "sch")
)
"""What stands below a country's domain where others have nothing: acme.co.uk is a company, co.uk is none."""

_LEGAL = """
ab aktiebolag aktiengesellschaft aps as asa ag bhd bv bvba cc co company corp corporation cv doo ead eirl eireli eood ev
gbr gesmbh ggmbh gmbh gmbhcokg inc incorporated kft kg kgaa kk lda limited llc llp lp ltd ltda mbh mei nv oao ohg ooo oy
oyj partg pc plc private pte pty pvt rt sa sab sae saoc saog sapi sarl sas sca scs sdn se sgps sl slu snc soc spa spolka
spzoo srl sro stiftung ug ulc vof zao zrt
"""
_LEGAL_FORMS = frozenset(_LEGAL.split())
_NONE = """
- any business company employed freelance freelancer homemaker individual keine me myself na none nonprofit notprovided
null personal private privat retired self selfemployed student test unemployed unknown various
"""
_NO_COMPANY = frozenset(_NONE.split())


class Company(Struct, frozen=True):
    """What names one company: equal `key`s are one. `by` says how sure that is."""

    key: str
    by: Literal["domain", "name"]


def company_of(
    attributes: Mapping[str, Value], emails: Iterable[str], free_mail: Collection[str] = ()
) -> Company | None:
    """The company of somebody with these attributes and addresses; None when nothing tells.

    A business mail domain goes before the website (attribute `website`), and that before the name (`company`).
    Addresses are tried in their order; subdomains are their company's.
    """
    website = str(attributes.get("website") or "")
    for domain in (*map(domain_of, map(read_address, emails)), _host(website)):
        if domain and not is_free_mail(domain, free_mail):
            return Company(registered(domain), "domain")
    name = clean_name(str(attributes.get("company") or ""))
    return Company(name, "name") if name else None


def is_free_mail(domain: str, more: Collection[str] = ()) -> bool:
    """Whether anybody can have an address there; `more` are the admin's."""
    own = registered(domain)
    first, _, rest = own.partition(".")
    known = domain in _FREE_MAIL or own in _FREE_MAIL or domain in more or own in more
    return known or (first in _EVERYWHERE and (rest == "com" or len(rest.rpartition(".")[2]) == 2))


def registered(domain: str) -> str:
    """The part of a domain that a company registers: eu.mail.acme.co.uk is acme.co.uk."""
    labels = domain.split(".")
    deep = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SECOND
    return ".".join(labels[-3:] if deep else labels[-2:])


def clean_name(name: str) -> str:
    """A company's name as compared: no case, accents, punctuation or legal form; empty when it names none."""
    if name.lstrip()[:1] in ("[", "(", "<"):
        return ""  # "[not provided]"
    letters = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(each for each in letters if not unicodedata.combining(each) and each not in ".'`\u2019")
    words = re.sub(r"[^\w]+|_", " ", plain.replace("&", " and ").replace("+", " and ")).split()
    words = words[1:] if words[:1] == ["the"] and len(words) > 1 else words
    while len(words) > 1 and (words[-1] in _LEGAL_FORMS or words[-1] == "and" or words[-3:] == ["sp", "z", "oo"]):
        words = words[:-3] if words[-3:] == ["sp", "z", "oo"] and len(words) > 3 else words[:-1]
    return "" if not words or "".join(words) in _NO_COMPANY else " ".join(words)


def _host(website: str) -> str:
    bare = re.sub(r"^[a-z]+://", "", website.strip().casefold())
    host = re.split(r"[/?#:]", bare, maxsplit=1)[0].removeprefix("www.")
    return domain_of(read_address(f"x@{host}")) if host else ""
