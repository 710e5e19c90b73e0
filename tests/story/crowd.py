"""A crowd of invented people over three systems: what each system says of whom, and who is who in truth.

`Human.why` names why the records of one human cannot all be joined by anybody who reads only what the systems say: they
are made so that no id, no address and no number of one person is common to them. To everybody they are two people.
Beside them stand those whom a careless rule would glue together: families with one telephone, colleagues at one desk,
father and son of one name in one company.
"""

import random
from dataclasses import dataclass, field

from syncagent.model import Identity

_FIRST = "Ana Ben Carla Dan Eva Finn Gita Hugo Ines Jon Kaya Lars Mia Nils Olga Paul Rosa Sam Tea Uwe Vera Will"
_LAST = "Silva Ode Meyer Novak Rossi Dubois Kim Patel Garcia Nowak Jansen Berg Haas Lund Costa Weber Moreau Sato"
FIRST, LAST = _FIRST.split(), _LAST.split()
NOBODY = ["noemail@example.com", "none@none", "n/a", "test@test.test", "No-Reply@example.org", ""]


@dataclass
class Told:
    """One record: who tells it, under which id, with which address, name and ids of other systems."""

    identity: Identity
    email: str
    first: str
    last: str
    also: tuple[Identity, ...] = ()
    mobile: str = ""
    phone: str = ""


@dataclass
class Human:
    """One in truth. `later` is told one wave after `told`; `merge` are ids that their system makes one of."""

    number: int
    wave: int
    told: list[Told] = field(default_factory=list)
    later: list[Told] = field(default_factory=list)
    merge: tuple[Identity, ...] = ()
    why: str = ""
    ready: bool = False
    early: bool = False
    mail: bool = True

    @property
    def goes(self) -> bool:
        """Whether they are handed off: no record is made for somebody without an address, who waits in sight."""
        return self.ready and self.mail

    @property
    def asks_in(self) -> int:
        """The wave in which they ask for sales: at once, unless only one of the systems can tell who they are.

        Nobody knows of a merge, a changed address or the CRM's id before the one system that tells it was read. Who
        asks `early` does not wait for that: they are two people until it is told, and then one with two records.
        """
        if self.early:
            return self.wave
        return self.wave + (2 if self.later else 1 if self.merge or any(one.also for one in self.told) else 0)

    @property
    def identities(self) -> set[Identity]:
        return {one.identity for one in (*self.told, *self.later)}

    @property
    def seem(self) -> int:
        """How many people they are to everybody who reads what the systems say."""
        return 2 if self.why else 1

    @property
    def to_make(self) -> int:
        """How many records of theirs the CRM lacks when they ask."""
        known = any(one.identity.system == "crm" for one in self.told)
        return (2 if self.why or self.early else 1) - known if self.goes else 0


class Crowd:
    """`count` humans in `waves` waves; the same for the same seed. `plus`: "ignore" when the config ignores tags."""

    def __init__(self, count: int, waves: int, seed: int, plus: str) -> None:
        self.dice = random.Random(seed)
        self.plus = plus
        self.name = ("", "")
        self.mobile = ""
        self.humans = [self._human(number, number * waves // count) for number in range(count)]

    def _human(self, number: int, wave: int) -> Human:
        dice = self.dice
        human = Human(number, wave, ready=dice.random() < 0.3)
        first, last = dice.choice(FIRST), dice.choice(LAST)
        company = f"firm{number // 3}.test"  # colleagues: three at one domain, with one switchboard
        self.phone = f"+49 30 {number // 3:07d}"
        mobile = f"+49 171 {number:07d}"
        kind = dice.random()
        if number % 3 and kind < 0.05:  # father and son: one name, one company; the address and the mobile differ
            first, last = self.name
        elif number % 3 and kind < 0.10:  # the child has the mother's mobile: one number, one domain, one surname
            first, last, mobile = dice.choice([one for one in FIRST if one != self.name[0]]), self.name[1], self.mobile
        self.name, self.mobile = (first, last), mobile
        self.home = f"{first}.{last}{number}@{company}".lower()
        kind = dice.random()
        if kind < 0.03:
            self._desk(human, first, last, f"info@{company}")
        elif kind < 0.05:
            self._unaddressed(human, first, last)
        else:
            self._addressed(human, first, last)
        return human

    def _addressed(self, human: Human, first: str, last: str) -> None:
        dice, number, home = self.dice, human.number, self.home
        web = Identity("web", "lead", str(number))
        human.told.append(self._say(web, home, first, last))
        kind = dice.random()
        fair = Identity("fair", "lead", f"f{number}")
        if kind < 0.35:
            human.told.append(self._say(fair, home, first, last))
        elif kind < 0.40:
            human.told.append(self._say(fair, home.replace("@", "+fair@"), first, last))
            human.why = "" if self.plus == "ignore" else "a plus-tag, and the config keeps them apart"
        elif kind < 0.45:  # the address changes in one system, and the other knows only the new one
            new = f"{first}{number}@mail{number % 50}.test".lower()
            human.later += [self._say(web, new, first, last), self._say(fair, new, first, last)]
        elif kind < 0.50:  # ... or only the old one
            human.later += [self._say(web, f"x{number}@mail.test", first, last), self._say(fair, home, first, last)]
        elif kind < 0.55:  # two leads of one system, one of which the other system knows; their system merges them
            twin = Identity("web", "lead", f"{number}b")
            other = f"{first}.{number}@private{number % 40}.test".lower()
            human.told += [self._say(twin, other, first, last), self._say(fair, other, first, last)]
            human.merge = (web, twin)
        elif kind < 0.56:
            human.told[0].mobile = ""
            human.told.append(self._say(fair, f"{last}{number}@elsewhere.test".lower(), first, last))
            human.why = "another address in each system, no id of the other, and no number"
        elif kind < 0.57:  # ... but a mobile number, however it is written, and a name without a slip
            elsewhere = f"{last}{number}@elsewhere.test".lower()
            human.told[0] = Told(web, self._spelled(home), first.upper(), last, mobile=self._dialled())
            human.told.append(Told(fair, self._spelled(elsewhere), first, f" {last}", mobile=self._dialled()))
        elif kind < 0.58:
            human.told[0] = Told(web, self._spelled(home), first, last, mobile=self._dialled())
            elsewhere = f"{last}{number}@elsewhere.test".lower()
            human.told.append(Told(fair, self._spelled(elsewhere), first, self._wrong(last), mobile=self._dialled()))
            human.why = "another address in each system, a mobile number, and a name that was misspelt"
        elif kind < 0.60:  # the address that makes them one is told after they have asked by both
            other = f"{first}{number}@late{number % 50}.test".lower()
            human.told[0].mobile = ""
            human.told.append(self._say(fair, other, first, last))
            human.later.append(self._say(web, other, first, last))
            human.early = True
        crm = dice.random()
        if crm < 0.25:
            human.told.append(self._record(Identity("crm", "Lead", f"L-{number}"), home, first, last))
        elif crm < 0.30:  # known by the id that marketing's own sync has written, and by no address
            record = Identity("crm", "Contact", f"C-{number}")
            human.told.append(self._record(record, "", first, last))
            human.told[0].also = (record,)
        elif crm < 0.34:
            both = (Identity("crm", "Lead", f"L-{number}"), Identity("crm", "Contact", f"C-{number}"))
            human.told += [self._record(one, home, first, last) for one in both]

    def _desk(self, human: Human, first: str, last: str, desk: str) -> None:
        """Somebody who writes from a mailbox that colleagues use too."""
        web, fair = Identity("web", "lead", str(human.number)), Identity("fair", "lead", f"f{human.number}")
        last = f"{last}{'abcdefgh'[human.number % 8]}son"  # of three colleagues no two have one name
        human.told.append(Told(web, self._spelled(desk), first, last))
        kind = self.dice.random()
        if kind < 0.6:
            human.told.append(Told(fair, self._spelled(desk), first.upper(), last))
        elif kind < 0.8:
            human.told.append(Told(fair, self._spelled(desk), first, self._wrong(last)))
            human.why = "a shared mailbox, and a name that was misspelt"
        else:
            human.told.append(Told(fair, self._spelled(desk), "", ""))
            human.why = "a shared mailbox, and no name"

    def _unaddressed(self, human: Human, first: str, last: str) -> None:
        nobody = self.dice.choice(NOBODY)
        mobile = self.dice.random() < 0.5
        for system, number in (("web", str(human.number)), ("fair", f"f{human.number}")):
            told = Told(Identity(system, "lead", number), nobody, first, last, phone=self.phone)
            told.mobile = self._dialled() if mobile else ""
            human.told.append(told)
        human.mail, human.why = False, "" if mobile else "no address, and no number"

    def _say(self, identity: Identity, email: str, first: str, last: str) -> Told:
        mobile = self._dialled() if self.dice.random() < 0.5 and identity.system == "web" else ""
        first, last = self._misspelt(first), self._misspelt(last)
        return Told(identity, self._spelled(email), first, last, mobile=mobile, phone=self.phone)

    def _dialled(self) -> str:
        """A mobile number as people and forms write it."""
        rest = self.mobile.removeprefix("+49 ")
        ways = (self.mobile, f"0{rest}", f"0049 {rest}", f"+49 (0){rest}", f"0{rest[:3]}/{rest[4:]}", f"0{rest} ")
        return self.dice.choice((*ways, self.mobile.replace(" ", "-")))

    def _record(self, identity: Identity, email: str, first: str, last: str) -> Told:
        return Told(identity, email.title() if self.dice.random() < 0.3 else email, first, last)

    def _spelled(self, email: str) -> str:
        """As people and forms write it."""
        ways = (email, email, email, email.upper(), f" {email} ", email.title(), f"{email}.", f"Someone <{email}>")
        return self.dice.choice(
            (*ways, f"\u200b{email}", email.replace("@", "\uff20"), f"mailto:{email}", f"'{email}'")
        )

    def _misspelt(self, name: str) -> str:
        """Now and then a letter is doubled or lost."""
        return self._wrong(name) if self.dice.random() < 0.15 else name

    def _wrong(self, name: str) -> str:
        at = self.dice.randrange(1, len(name) - 1)
        return self.dice.choice((name[:at] + name[at] + name[at:], name[:at] + name[at + 1 :]))
