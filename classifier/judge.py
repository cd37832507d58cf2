"""Puts the parts together: clean text -> words -> topics, places, rules -> Assessment.

A batch is judged in two passes: words and their topic rows for all texts, one matrix step for the whole batch, then the
rules of each text. One judge is not safe for threads; processes each load their own.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from classifier import conduct, places, repeats, rules, streets, text, topics
from classifier.contract import Text
from classifier.words import MAX_FORMS, Lexicon, Word
from store.values import Assessment, Place

log = logging.getLogger(__name__)

HERE = Path(__file__).parent
MODEL = HERE / "model"
GAZETTEER = HERE / "gazetteer" / "akhty.csv"
RULES = HERE / "rules"

_CONDUCT = {
    "obscene": "нецензурная лексика",
    "insult": "оскорбление",
    "threat": "угроза",
    "spam": "реклама или спам",
    "illegal_call": "призыв к незаконным действиям",
    "off_topic": "не по теме",
    "unintelligible": "непонятный текст",
    "other_language": "другой язык",
}
_LEZGIAN = re.compile(
    r"[\u04c0\u04cf]|(?:кь|гъ|къ|хъ|гь|хь|уь|пӀ|тӀ|цӀ|чӀ|кӀ|к1|т1|ц1|ч1|п1)(?!\d)",
)
_LEZGIAN_WORDS = frozenset(
    [
        "чи",
        "чаз",
        "чун",
        "квез",
        "куьн",
        "вун",
        "зун",
        "ава",
        "авач",
        "авайди",
        "хьана",
        "хьун",
        "вуч",
        "гьикл",
        "гьикI",
        "гзаф",
        "тир",
        "туш",
        "яни",
        "ийир",
        "ийида",
        "лагьана",
        "лагьай",
        "сагърай",
        "салам",
        "вири",
        "вирида",
        "инсан",
        "чавай",
        "завай",
        "хуьр",
        "хуьре",
        "хуьруьн",
        "ша",
        "алад",
        "лугьуз",
        "хъсан",
        "хъсанди",
        "буба",
        "диде",
        "стха",
    ]
)
_MAX_QUOTE = 60
LETTER = 30  # tokens: a longer text is a letter; there an emergency must also sound like one
ALARM_AT = 0.9
"""From this probability on the model raises an emergency that no rule sees: below it, everyday texts fire too."""
SURE_GROUP = 0.7  # from this confidence on the learnt group of an emergency stands, not the group of its kind
REQUIRED_OF_TOPIC = 0.2  # a text on a topic of the administration needs less to be taken as a message to it


class RoomJudge:
    """The judge of this room; satisfies `contract.Judge`."""

    def __init__(self, model_path: str | Path | None = None, gazetteer: str | Path | None = None) -> None:
        self._book = rules.RuleBook.load(RULES)
        self._gazetteer = places.Gazetteer.load(Path(gazetteer) if gazetteer else GAZETTEER)
        self._topics = topics.TopicModel.load(Path(model_path) if model_path else MODEL)
        self._lexicon = self._new_lexicon()
        bit = self._book.bit
        self._place, self._far, self._home, self._obscene = bit("PLACE"), bit("FAR_PLACE"), bit("HOME"), bit("OBSCENE")
        self._street, self._emoji, self._end = bit("STREET"), bit("EMOJI"), bit("END")
        self._not, self._unknown = bit("@not"), bit("UNKNOWN")
        self._lezgian, self._letter, self._known = bit("LEZGIAN"), bit("LETTER"), bit("KNOWN")
        self._school = bit("(школа|школьный|класс|спортзал|учитель|учительница|урок|школьник|столовая)")
        self._laugh = bit("LAUGH")
        # A place has the bits of every term that names it, as "(@help|HOME)" does, not only of the bare one.
        self._of_home = self._book.mask("", (), ("HOME",)) | self._home
        self._of_far = self._book.mask("", (), ("FAR_PLACE",)) | self._far
        self._lexicon.clear()  # words decorated before all bits were known
        self.model = f"otklik-{topics.FORMAT}.{self._topics.version}"

    def _new_lexicon(self) -> Lexicon:
        spellable = dict.fromkeys([*self._book.lemmas(), *self._topics.spellable()])
        return Lexicon(self._decorate, spellable, self._gazetteer.is_name)

    def _decorate(self, word: Word) -> None:
        grammar = list(Lexicon.grammar(word))
        if word.form[0].isalnum():
            word.place = self._gazetteer.meant(word)
            if word.place is not None:
                grammar.append("PLACE")
            elif word.known and places.is_far(word):
                grammar.append("FAR_PLACE")
            if conduct.obscene(word.russian):
                grammar.append("OBSCENE")
            if _LEZGIAN.search(word.form) or word.form in _LEZGIAN_WORDS:
                grammar.append("LEZGIAN")
            if len(word.form) == 1 and word.form not in "явисоукаIi":
                grammar.append("LETTER")
            if word.russian in ("ул", "пер", "пр-т") or word.lemma in ("улица", "переулок", "проспект"):
                grammar.append("STREET")
        word.mask = self._book.mask(word.russian, word.lemmas, grammar)
        word.concepts = self._book.concepts(word.russian, word.lemmas)
        is_place = "FAR_PLACE" in grammar or ("PLACE" in grammar and self._gazetteer.names(word))
        word.row = self._topics.row(word, is_place)

    # --- the contract ---

    def assess(self, item: Text) -> Assessment:
        """Judge one text."""
        return self._assess_batch([item])[0]

    def assess_many(self, items: Sequence[Text]) -> list[Assessment | None]:
        """Judge many; a text that breaks the judge gives None at its place and a line in the log, no exception."""
        try:
            return list(self._assess_batch(items))
        except Exception:
            log.exception("a batch could not be judged whole; judging one by one")
        out: list[Assessment | None] = []
        for item in items:
            try:
                out.append(self.assess(item))
            except Exception:
                log.exception("text %s could not be judged", item.id)
                out.append(None)
        return out

    def explain(self, item: Text) -> dict:
        """What stands behind the assessment: tokens with lemmas, rules that fired and their spans, weights, top 3."""
        clean, index = text.clean(item.text)
        words = self._words(clean)
        spans = [m.span() for m in text.TOKEN.finditer(clean)]
        scores = self._topics.scores([[w.row for w in words]])
        masks = self._masks(item, clean, index, words)[0]
        total = _union(masks)
        fired = []
        for sort in ("emergency", "guard", "conduct", "reaction"):
            for match in self._book.matches(sort, masks, total):
                fired.append(
                    {
                        "sort": sort,
                        "name": match.rule.section.name,
                        "rule": match.rule.source,
                        "spans": [list(text.original(*spans[i], index)) for i in match.tokens],
                        "words": [words[i].form for i in match.tokens],
                    }
                )
        return {
            "text": item.text[: text.MAX_CHARS],
            "tokens": [
                {
                    "form": w.form,
                    "lemmas": list(w.lemmas),
                    "span": list(text.original(*span, index)),
                    "known": w.known,
                    "corrected": w.russian if w.russian != w.form else None,
                }
                for w, span in zip(words, spans, strict=True)
            ],
            "rules": fired,
            "topics": self._topics.explain(scores, 0, words),
            "assessment": self.assess(item).as_dict(),
        }

    # --- the work ---

    def _words(self, clean: str) -> list[Word]:
        if len(self._lexicon) > MAX_FORMS:
            self._lexicon.clear()
            self._topics.forget_rows()
        return list(map(self._lexicon.__getitem__, text.TOKEN.findall(clean)))

    def _assess_batch(self, items: Sequence[Text]) -> list[Assessment]:
        if len(self._lexicon) > MAX_FORMS // 2:
            self._lexicon.clear()
            self._topics.forget_rows()
        prepared = []
        rows = []
        for item in items:
            clean, index = text.clean(item.text)
            words = list(map(self._lexicon.__getitem__, text.TOKEN.findall(clean)))
            prepared.append((clean, index, words))
            rows.append([w.row for w in words])
        scores = self._topics.scores(rows)
        return [self._one(item, *parts, scores, i) for i, (item, parts) in enumerate(zip(items, prepared, strict=True))]

    def _masks(self, item: Text, clean: str, index, words: list[Word]) -> tuple[list[int], int, tuple[Place, ...]]:
        masks = [w.mask for w in words]
        total = _union(masks)
        found: tuple[Place, ...] = ()
        if total & (self._place | self._street):
            spans = [m.span() for m in text.TOKEN.finditer(clean)]
            found = tuple(self._places(item, clean, index, words, spans, total))
            for place in found:
                entry = self._gazetteer.entry(place.name, place.kind)
                if entry is None or place.span is None:
                    continue
                bit = self._of_home if entry.near else self._of_far
                first, last = place.span
                for i, span in enumerate(spans):
                    start, end = span if index is None else text.original(*span, index)
                    if first <= start and end <= last:
                        masks[i] |= bit
                total |= bit
        return masks, total, found

    def _places(self, item: Text, clean: str, index, words, spans, total: int) -> list[Place]:
        found: list[Place] = []
        if total & self._place:
            found = self._gazetteer.find(words, spans, item.text, index, item.page)
        settlements = [p for p in found if p.kind in places.SETTLEMENTS]
        if total & self._school and len(settlements) == 1 and not any(p.kind == "школа" for p in found):
            school = self._gazetteer.school_of(settlements[0].name)
            if school is not None:
                found.append(places.as_place(school, settlements[0].span, 0.6))
        if total & self._street:
            found.extend(streets.streets(clean, index))
        return found

    def _one(self, item: Text, clean: str, index, words: list[Word], scores: topics.Scores, i: int) -> Assessment:
        masks, total, found = self._masks(item, clean, index, words)
        reasons: list[str] = []
        emergency, section = self._emergency(item, clean, index, words, masks, total, scores, i, reasons)
        flags = self._flags(item, clean, words, masks, total)
        guess = scores.best(i)
        topic, group, confidence = guess.topic, guess.group, guess.confidence
        if section is not None:
            if group is None or confidence < SURE_GROUP:
                group = section.settings.get("group", group)
            wanted = section.settings.get("topic")
            topic = (
                wanted if wanted else (topic if topic and self._topics.group_of(topic) == group and wanted else None)
            )
            confidence = max(confidence, 0.9)
        reaction, why = self._reaction(item, words, masks, total, flags, guess, bool(emergency), found)
        if emergency:
            urgency: str | None = "urgent"
        else:
            urgency = "prompt" if reaction == "required" else None
        if reaction == "refuse" and not emergency:
            topic = group = None
            confidence = 0.0
        reasons.extend(why)
        if topic is not None and not emergency:
            reasons.append(f"тема: {self._topics.title(topic)}")
        elif group is not None and not emergency:
            reasons.append(f"группа тем: {self._topics.group_title(group)}")
        reasons.extend(f"место: {p.name}" for p in found[:3])
        reasons.extend(f"поведение: {_CONDUCT.get(f, f)}" for f in flags)
        gist = repeats.Gist(reaction, group, found, emergency)
        return Assessment(
            topic=topic,
            topic_group=group,
            topic_confidence=confidence if group or topic else 0.0,
            places=found,
            urgency=urgency,
            emergency=bool(emergency),
            emergency_kind=emergency,
            reaction=reaction,
            conduct=tuple(flags),
            reasons=tuple(reasons),
            model=self.model,
            signature=repeats.signature(words, gist, self._place | self._far),
        )

    def _emergency(self, item, clean, index, words, masks, total, scores, i, reasons):
        """Kind of emergency and its section, or (None, None). Rules speak first, then what the model has learnt."""
        probability = scores.alarm[i]
        matches = self._book.matches("emergency", masks, total)
        if not matches and probability < ALARM_AT:
            return None, None
        guards = self._book.matches("guard", masks, total)
        against: str | None = None
        if matches:
            idle = self._idle_talk(scores, i, probability, total)
            # The most telling kind first, then what is said first.
            matches.sort(key=lambda m: (-int(m.rule.section.settings.get("priority", "1")), m.tokens))
            for match in matches:
                if idle and not match.rule.sure:
                    against = "разговор, не сообщение"
                    continue
                why = self._guarded(match, guards, masks)
                if why is None and len(words) > LETTER and probability < 0.1 and not match.rule.sure:
                    why = None if self._rings(words, masks, match) else "письмо о делах, не тревога"
                if why is None:
                    quote = self._quote(item, clean, index, match)
                    reasons.insert(0, f"{match.rule.section.name}: «{quote}»")
                    return match.rule.section.name, match.rule.section
                against = against or why
        if probability >= ALARM_AT and scores.required[i] >= 0.5 and scores.concerns[i] >= 0.5 and not against:
            against = guards[0].rule.section.name if guards else None
            if against is None:
                kind = scores.kind_of(i)
                section = next(s for s in self._book.sections if s.sort == "emergency" and s.name == kind)
                reasons.insert(0, f"{kind}: так звучит текст ({probability:.0%}), прочитайте сами")
                return kind, section
        if against is not None:
            reasons.append(f"не авария: {against}")
        return None, None

    def _idle_talk(self, scores: topics.Scores, i: int, probability: float, total: int) -> bool:
        """The model is sure that the text is no message to anybody, and no place of ours is named."""
        return scores.required[i] < 0.25 and scores.concerns[i] < 0.3 and probability < 0.05 and not total & self._home

    def _rings(self, words: Sequence[Word], masks: Sequence[int], match: rules.Match) -> bool:
        """The sentence of the match, taken by itself, sounds like an alarm (in a long letter chance words meet)."""
        rows = [words[k].row for k in self._book.sentence(masks, match.tokens)]
        return len(rows) <= LETTER and self._topics.scores([rows]).alarm[0] >= 0.01

    def _guarded(self, match: rules.Match, guards: Sequence[rules.Match], masks: Sequence[int]) -> str | None:
        """Why the match does not count, or None."""
        mine = set(match.tokens)
        exempt = {*match.rule.skip, *match.rule.section.settings.get("skip", "").split(",")}
        for i in match.tokens if match.rule.section.settings.get("deny") != "no" else ():
            if i and masks[i - 1] & self._not and (i - 1) not in mine and not match.rule.need & self._not:
                return "отрицание"
        sentence = self._book.sentence(masks, match.tokens)
        for guard in guards:
            name, settings = guard.rule.section.name, guard.rule.section.settings
            if name.replace(" ", "_") in exempt or (match.rule.sure and settings.get("strong") != "1"):
                continue
            if _reaches(settings.get("scope"), guard.tokens, match.tokens, sentence):
                return name
        return None

    def _quote(self, item: Text, clean: str, index, match: rules.Match) -> str:
        spans = [m.span() for m in text.TOKEN.finditer(clean)]
        start = text.original(*spans[match.tokens[0]], index)[0]
        end = text.original(*spans[match.tokens[-1]], index)[1]
        quote = " ".join(item.text[start:end].split())
        return quote if len(quote) <= _MAX_QUOTE else quote[: _MAX_QUOTE - 1] + "…"

    def _flags(self, item: Text, clean: str, words: list[Word], masks, total: int) -> list[str]:
        flags: list[str] = []
        if total & self._obscene or conduct.disguised(clean, bool(total & self._letter)):
            flags.append("obscene")
        if total & self._book.keys["conduct"]:
            for match in self._book.matches("conduct", masks, total):
                name = match.rule.section.name
                if name not in flags:
                    flags.append(name)
        if total & self._lezgian and self._foreign(words):
            flags.append("other_language")
            return flags
        if total & self._known:
            return flags
        letters = [w for w in words if w.form[0].isalpha()]
        if _gibberish(letters) or (words and not letters and not item.attachments and not total & self._emoji):
            flags.append("unintelligible")
        return flags

    def _foreign(self, words: list[Word]) -> bool:
        """Lezgian (or another language of the mountains): its letter pairs and words against known Russian ones."""
        letters = [w for w in words if w.form[0].isalpha()]
        marked = sum(bool(w.mask & self._lezgian) for w in letters)
        known = sum(w.known and not w.mask & self._lezgian and len(w.form) > 2 for w in letters)
        return marked * 3 >= len(letters) and marked * 2 > known

    def _reaction(self, item, words, masks, total, flags, guess, emergency, found) -> tuple[str, list[str]]:
        if emergency:
            return "required", []
        if "other_language" in flags:
            return "required", ["другой язык: нужен человек"]
        kinds = {m.rule.section.name for m in self._book.matches("reaction", masks, total)}
        need = "need" in kinds
        if "threat" in flags or "illegal_call" in flags or "spam" in flags:
            return "refuse", []
        if "off_topic" in flags and not need and not total & self._home:
            return "refuse", []
        if ("obscene" in flags or "insult" in flags) and not (need or (guess.required > 0.75 and guess.group)):
            return "refuse", []
        if not any(w.form[0].isalnum() for w in words):
            if item.attachments:
                return "required", ["вложение без текста: нужен человек"]
            return "none", ["нет текста"]
        if "unintelligible" in flags:
            return "none", []
        if kinds & {"thanks", "greeting", "condolence"} and not need and guess.required < 0.8:
            return "none", ["благодарность, поздравление или соболезнование"]
        if ("idle" in kinds or total & self._laugh) and not need and guess.required < 0.9:
            return "none", ["разговор, учения или вопрос о слухах"]
        # A place of ours with a topic or a plea is a message to the administration, unless it only praises.
        if total & self._home and (need or guess.group) and not kinds & {"thanks", "praise", "greeting", "condolence"}:
            return "required", []
        if need and guess.group:
            return "required", []
        if guess.required >= (REQUIRED_OF_TOPIC if guess.group else 0.5):
            return "required", []
        return "none", ["просьбы или жалобы не видно"]


def _reaches(scope: str | None, guard: Sequence[int], match: Sequence[int], sentence: range) -> bool:
    """A guard of this scope applies to the match: anywhere, on its words, before its words, or in its sentence."""
    if scope == "text":
        return True
    if scope == "overlap":
        return not set(guard).isdisjoint(match)
    if scope == "before":
        return guard[0] in sentence and guard[0] < match[-1]
    return any(i in sentence for i in guard)


def _union(masks: Sequence[int]) -> int:
    total = 0
    for mask in masks:
        total |= mask
    return total


def _gibberish(letters: Sequence[Word]) -> bool:
    """Words of letters, none of them known, and too few vowels (or too few different letters) to be a name."""
    if not letters or any(w.known for w in letters):
        return False
    joined = "".join(w.russian for w in letters)
    if len(joined) < 4:
        return False
    vowels = sum(c in "аеиоуыэюя" for c in joined)
    return vowels / len(joined) < 0.2 or len(set(joined)) <= max(2, len(joined) // 6)
