"""What names a company, in the one spelling that is compared: mail domains, websites, names, phones.

From what systems tell to *keys*: "d:acme.com", "p:+4930...", "n:b nrdwnd" (the bones of a name).
The state keeps those of all accounts; what they prove is decided in `handoff/companies.py`.
Free mail and hosts that everybody may use make no key. The lists are our own; `[identity] free_mail` adds to them.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache

from syncagent.model.address import domain_of, read_address
from syncagent.model.country import calling_code
from syncagent.model.facts import Value

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

_HOSTS = """
about.me amazon.com apple.com bit.ly blogspot.com business.site calendly.com carrd.co crunchbase.com etsy.com
facebook.com fb.com fb.me github.com github.io gitlab.com godaddysites.com google.com goo.gl gumroad.com indeed.com
instagram.com jimdofree.com jimdosite.com kununu.com linkedin.com linktr.ee medium.com meetup.com myshopify.com
netlify.app notion.site pinterest.com site123.me sites.google.com squarespace.com substack.com t.me tiktok.com
tumblr.com twitter.com vercel.app vimeo.com vk.com webnode.com weebly.com whatsapp.com wikipedia.org wixsite.com
wordpress.com x.com xing.com yelp.com youtube.com
"""
_SHARED_HOSTS = frozenset(_HOSTS.split())
"""Where a page says nothing of whose it is: "website" often holds a profile."""

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
_LEADING = frozenset(("ab", "oao", "ooo", "pao", "pt", "zao"))
"""Legal forms that stand before the name in their countries."""

_AROUND = frozenset(["and", "et", "group", "groupe", "grupo", "gruppe", "gruppo", "holding", "holdings", "und", "y"])
_SHORTEST = 8
_REMEMBERED = 16_384
_AFTER = " \t\r\n.,;>"
_COUNTED = re.compile(r"0123456|1234567|2345678")
_ENDS = _LEGAL_FORMS | {"and"}
_WORD = re.compile(r"[^\W_]+")
_MARKS = str.maketrans({"&": " and ", "+": " and ", **dict.fromkeys(".'`\u2019", "")})
_VOWELS = str.maketrans("", "", "aeiouy")
_DOUBLED = re.compile(r"([a-z])\1+")
_HOST = re.compile(r"(?:[a-z]+://)?(?:www\.)?((?:[^\W_][\w-]*\.)+[^\W\d_]{2,})(?=$|[/?#:.,\s])")
_LETTER = re.compile(r"[a-zA-Z]")
_EXTENSION = re.compile(r"(?i)\s*(?:x|ext\.?|extension|dw|durchwahl)\s*\d+\s*$")
_LINE = re.compile(r"(.*\d)\s*-\s*(\d{1,4})")
_OTHER = re.compile(r"\D")
_NONE = """
- any business company employed freelance freelancer homemaker individual keine me myself na none nonprofit notprovided
null personal private privat retired self selfemployed student test unemployed unknown various
"""
_NO_COMPANY = frozenset(_NONE.split())


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
    plain = name.casefold()
    if not plain.isascii():
        letters = unicodedata.normalize("NFKD", plain)
        plain = "".join(each for each in letters if not unicodedata.combining(each))
    words = _WORD.findall(plain.translate(_MARKS))
    words = words[1:] if words[:1] == ["the"] and len(words) > 1 else words
    words = words[1:] if words[:1] and words[0] in _LEADING and len(words) > 1 else words
    while len(words) > 1 and (words[-1] in _ENDS or words[-3:] == ["sp", "z", "oo"]):
        words = words[:-3] if words[-3:] == ["sp", "z", "oo"] and len(words) > 3 else words[:-1]
    return "" if not words or "".join(words) in _NO_COMPANY else " ".join(words)


def same_words(name: str) -> str:
    """A cleaned name whose words may stand in any order, each once, and without "and", "group", "holding"."""
    words = set(name.split())
    return " ".join(sorted((words - _AROUND) or words))


def undone(name: str) -> str:
    """A cleaned name with the slips undone that make no other name: doubled letters, and ae, oe, ue for an umlaut."""
    plain = re.sub(r"([aou])e", r"\1", same_words(name))
    return re.sub(r"([a-z])\1+", r"\1", plain)


def bones(name: str) -> str:
    """A cleaned name's words without doubled letters and inner vowels: what is one name in spite of a slip has one."""
    words = set(name.split())
    kept = [word[0] + word[1:].translate(_VOWELS) for word in ((words - _AROUND) or words)]
    return _DOUBLED.sub(r"\1", " ".join(sorted(kept)))


def website_domain(website: str) -> str:
    """The domain that a website's owner has registered; empty when it says nothing of whose it is."""
    found = _HOST.match(website.strip().casefold())
    if found is None:
        return ""
    host = found[1]
    own = registered(host if host.isascii() else domain_of(read_address(f"x@{host}")))
    return "" if own in _SHARED_HOSTS or host in _SHARED_HOSTS or is_free_mail(own) else own


def mail_domain(address: str, free_mail: Collection[str] = ()) -> str:
    """The domain that an address's company has registered; empty for free mail."""
    domain = domain_of(address)
    return registered(domain) if domain and not is_free_mail(domain, free_mail) else ""


def phone_numbers(phone: str, country: str = "", *, main: bool = False) -> tuple[str, ...]:
    """A number as it is called from abroad ("+4930123456"), without its extension; empty when nobody can tell.

    A direct line ("+49 30 1234-56") stands for its main number too ("+49 30 1234-0"): of `main` numbers the one that
    ends in -0 tells where the lines begin.
    """
    text = phone if _LETTER.search(phone) is None else _EXTENSION.split(phone.strip())[0]
    text = text.replace("(0)", "").strip()
    line = _LINE.fullmatch(text) if "-" in text else None
    found = [_abroad(text, country)]
    if line is not None and (line[2] == "0" or not main):
        found.append(f"{stem}-" if (stem := _abroad(line[1], country)) else "")
    return tuple(one for one in found if one)


def _abroad(text: str, country: str) -> str:
    digits = _OTHER.sub("", text)
    if text[:1] == "+":
        whole = digits
    elif digits.startswith("00"):
        whole = digits[2:]
    else:
        code = calling_code(country)
        national = digits if code == "39" else digits.removeprefix("0")  # Italians keep their 0
        whole = code + (national.removeprefix("1") if code == "1" else national) if code else ""
    real = _SHORTEST <= len(whole) <= 15 and len(set(whole[-7:])) > 1 and not _COUNTED.search(whole)
    return f"+{whole}" if real else ""


@lru_cache(_REMEMBERED)
def name_key(name: str) -> str:
    """Under which key a company's name is found; empty when it names none."""
    clean = clean_name(name)
    return f"n:{bones(clean)}" if clean else ""


def keys_of(emails: Iterable[str], website: Value, name: Value, phone: Value, country: Value) -> set[str]:
    """Every key that what one system tells of somebody makes; addresses as they are written."""
    found = {f"d:{domain}" for one in emails if (domain := mail_domain(one.casefold().rstrip(_AFTER)))}
    if website and (domain := website_domain(str(website))):
        found.add(f"d:{domain}")
    if name and (key := name_key(str(name))):
        found.add(key)
    if phone:
        found.update([f"p:{number}" for number in phone_numbers(str(phone), str(country or ""))])
    return found


def keys_of_account(attributes: dict[str, Value]) -> set[str]:
    """The keys that an account tells of itself: `name`, `website`, `domain` (several with commas), `phone`."""
    found = {key} if (key := name_key(str(attributes.get("name") or ""))) else set()
    for text in (attributes.get("website"), *str(attributes.get("domain") or "").split(",")):
        if text and (domain := website_domain(str(text))):
            found.add(f"d:{domain}")
    numbers = phone_numbers(str(attributes.get("phone") or ""), str(attributes.get("country") or ""), main=True)
    return found | {f"p:{number}" for number in numbers}
