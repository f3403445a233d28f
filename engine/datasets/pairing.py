"""Which files are truth of which image, by the names of folders and files.

A file is truth if a folder on its way is called truth, masks, labels, gt … (`folders.py`), or if its name says so
beside an image of the same name (`naming.py`): a_mask.png beside a.jpg. It belongs to the image that has its name in
its place; else to the only image of its name in a place that differs by one folder; else to the only one anywhere.
Several masks of one image are joined; of several codings of the same truth the one of classes is taken.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.datasets import content_rules
from engine.datasets.claims import BY_CONTENT, Claim, choose
from engine.datasets.content_rules import Content
from engine.datasets.folders import Folders, Path, Place, Source, folder_of
from engine.datasets.image_index import Group, ImageIndex
from engine.datasets.naming import FileName, file_name, stem
from engine.datasets.number_rules import by_number, by_only_image
from engine.datasets.source import Entry

ATTEMPTS = 6
"""So often folders are understood in another way at most; two or three times are enough for what people have."""

_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True)
class Pair:
    """The name of an image, of the files that are its truth, () if it has none, and how these were found."""

    image: str
    truth: tuple[str, ...]
    rule: str = ""


@dataclass(frozen=True)
class Pairing:
    """All images with their truth, in the order of their names, and an entry for each file that is out.

    `alternatives` says how many files hold the same truth in another coding; `alone` names truth without an image.
    """

    pairs: list[Pair]
    entries: list[Entry]
    alternatives: dict[str, int] = field(default_factory=dict)
    alone: tuple[str, ...] = ()

    @property
    def rules(self) -> dict[str, int]:
        """How many images were paired in which way: {"masks/ beside images/": 12}."""
        return dict(Counter(pair.rule for pair in self.pairs if pair.truth))


def pair(names: Iterable[str], looks_like_mask: Content | None = None, left_out: Collection[str] = ()) -> Pairing:
    """Return all images in the order given, each with its truth, and the entries for files that are neither.

    Args:
        names: relative paths with forward slashes, each once.
        looks_like_mask: whether a file looks like a mask, where names leave that open; by default nothing does.
        left_out: names of files that are not imported, to say so of truth whose image is among them.
    """
    names = list(names)
    content = looks_like_mask or (lambda name: None)
    not_truth: frozenset[Path] = frozenset()
    forced: frozenset[Path] = frozenset()
    by_last = {last: file_name(last) for last in {name.rpartition("/")[2] for name in names}}
    said = {name: by_last[name.rpartition("/")[2]] for name in names}
    match = _Match(names, said, Folders(names, not_truth=not_truth, forced=forced), content)
    for _ in range(ATTEMPTS):
        if wrong := match.folders_without_truth() - not_truth:
            not_truth |= wrong
        elif found := content_rules.folders_of_masks(match.unpaired(), content) - forced:
            forced |= found
        else:
            break
        match = _Match(names, said, Folders(names, not_truth=not_truth, forced=forced), content)
    match.pair_by_content()
    return match.pairing(left_out)


def pair_known(images: Iterable[str], masks: Iterable[str]) -> Pairing:
    """Return the images in the order given, each with those of `masks` that are of it, by names alone.

    Here it is known which are images, whatever their folders are called, and which masks; a name may be in both.
    """
    images = list(images)
    own = {_APART + name: name for name in masks}
    names = [*images, *own]
    said = {name: file_name(name.rpartition("/")[2]) for name in names}
    ways = frozenset(folder[:depth] for folder in map(folder_of, images) for depth in range(1, len(folder) + 1))
    folders = Folders(names, not_truth=ways, forced=frozenset([folder_of(_APART)]))
    found = _Match(names, said, folders, lambda name: None, frozenset(own)).pairing(())
    pairs = [Pair(each.image, tuple(own[name] for name in each.truth)) for each in found.pairs]
    entries = [Entry(own.get(each.name, each.name), False, _of_mask(each.reason)) for each in found.entries]
    return Pairing(pairs, entries, alone=tuple(own[name] for name in found.alone))


_APART = "\0/"
"""A folder that no name has."""


def _of_mask(reason: str) -> str:
    return reason.replace(_APART, "").replace("It is truth,", "It is a mask,")


class _Truth(NamedTuple):
    name: str
    source: Source
    label: str


class _Match:
    """One attempt to pair all files, with folders understood in one way."""

    def __init__(
        self,
        names: Sequence[str],
        said: dict[str, FileName],
        folders: Folders,
        content: Content,
        known: Collection[str] | None = None,
    ) -> None:
        """Pair the files; those of `known` are the truth, or those that names say to be truth."""
        self._said, self._folders, self._content = said, folders, content
        self._rules: dict[str, str] = {}
        if known is None:
            in_folder = [name for name in names if folders.of(name).source]
            known = [*in_folder, *self._named_as_truth([name for name in names if not folders.of(name).source])]
        self._truths = [self._truth(name) for name in sorted(known)]
        is_truth = {truth.name for truth in self._truths}
        self._images = [name for name in names if name not in is_truth]
        self._index = ImageIndex(self._images, folders, said.__getitem__)
        self._channels = self._further_channels()
        self._claims: dict[str, Claim] = {}
        for truth in self._truths:
            if found := self._by_name(truth.name):
                self._claim(truth, *found)
        self._claim_leftovers()

    def unpaired(self) -> list[str]:
        """Return the images that nothing claims to be the truth of."""
        claimed = {claim.group for claim in self._claims.values()}
        return [image for image in self._images if (self._folders.of(image).place, stem(image)) not in claimed]

    def folders_without_truth(self) -> frozenset[Path]:
        """Return folders whose names may say truth or something else, and that hold none.

        Those of which no file belongs to an image, unless their files look like masks, and target/ and the like if
        their files look like photographs. If no image is left at all, that is so for every folder whose files are named
        as images and masks, or look like photographs: labels/a.jpg beside labels/a_mask.jpg, mask/face.jpg.
        """
        inside: dict[Path, list[str]] = defaultdict(list)
        for truth in self._truths:
            path = folder_of(truth.name)
            for depth in range(1, len(path) + 1):
                inside[path[:depth]].append(truth.name)
        wrong = set()
        for path in self._folders.perhaps():
            if content_rules.are_pictures(inside[path], self._content):  # input/ and target/ of an image filter
                wrong.add(path)
        for path in (*self._folders.compound(), *self._folders.perhaps()):
            useless = self._claims.keys().isdisjoint(inside[path])
            if useless and not content_rules.are_masks(inside[path], [], self._content):
                wrong.add(path)
        names = [truth.name for truth in self._truths]
        if (
            not self._images
            and not wrong
            and (self._named_as_truth(names) or content_rules.are_pictures(names, self._content))
        ):
            wrong = set(self._folders.truths())
        return frozenset(wrong)

    def pair_by_content(self) -> None:
        """Pair what names leave open: files that differ by their suffix or by an unknown word."""
        found = {
            mask: (image, "same name, another suffix, by content")
            for mask, image in content_rules.by_suffix(self.unpaired(), self._content).items()
        }
        left = [image for image in self.unpaired() if image not in found]
        found |= content_rules.by_unknown_word(left, self._folders, self._index, self._content)
        if not found:
            return
        self._images = [image for image in self._images if image not in found]
        self._index = ImageIndex(self._images, self._folders, self._said.__getitem__)
        for mask, (image, rule) in found.items():
            group = self._folders.of(image).place, stem(image)
            if group in self._index.groups:
                truth = _Truth(mask, Source(folder_of(mask), "", (BY_CONTENT, rule), ""), rule)
                self._truths.append(truth)
                self._rules[mask] = rule
                self._claim(truth, group, "")

    def pairing(self, left_out: Collection[str]) -> Pairing:
        """Return the outcome."""
        choice = choose(self._claims.values(), lambda group: self._index.groups[group][0])
        pairs, entries = [], list(choice.entries)
        for image in self._images:
            if image in self._channels:
                reason = f"It is another channel of {self._channels[image]}, which is imported alone."
                entries.append(Entry(image, False, reason))
                continue
            group = self._folders.of(image).place, stem(image)
            pairs.append(Pair(image, choice.truth_of.get(group, ()), choice.rule_of.get(group, "")))
        without = {stem(name): name for name in left_out}
        alone = [truth.name for truth in self._truths if truth.name not in self._claims]
        entries += [Entry(name, False, self._why_alone(name, without)) for name in alone]
        return Pairing(pairs, entries, dict(choice.alternatives), tuple(alone))

    def _truth(self, name: str) -> _Truth:
        folder, said = self._folders.of(name), self._said[name]
        if folder.source is None:
            label = f"*_{'_'.join(said.words)}" if said.where == "end" else f"{'_'.join(said.words)}_*"
            return _Truth(name, Source(folder_of(name), "", said.words, ""), label)
        source = folder.source
        words = tuple(dict.fromkeys(source.words + said.words))
        label = f"{folder.label}/"
        if said.words:
            label += f"*_{'_'.join(said.words)}"
        return _Truth(name, Source(source.parent, source.folder, words, source.part), label)

    def _named_as_truth(self, names: list[str]) -> list[str]:
        """Return the names that say truth, if some that say it in the same words have their image beside them.

        Only then do these words mean truth: a single party_mask.jpg is a photograph.
        """
        saying = [name for name in names if self._said[name].where]
        if not saying:
            return []
        index = ImageIndex(names, self._folders, self._said.__getitem__)
        elsewhere: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        meant: set[tuple[str, ...]] = set()
        for name in saying:
            said = self._said[name]
            convention = self._convention(name)
            if convention in meant:
                continue
            place = self._folders.of(name).place
            found = [index.groups[g][0] for key in said.truth_keys if (g := index.in_place(place, key.name))]
            if any(self._convention(image) != convention for image in found):
                meant.add(convention)
                continue
            found = [index.groups[g][0] for key in said.truth_keys if (g := index.anywhere(key.name))]
            if image := next((image for image in found if self._convention(image) != convention), ""):
                elsewhere[convention][name] = image
        alone = self._alone_in_their_places(names, set(saying))
        beside_one: dict[tuple[str, ...], set[Place]] = defaultdict(set)
        for name in saying:
            if (place := self._folders.of(name).place) in alone:
                beside_one[self._convention(name)].add(place)
        meant |= {convention for convention, places in beside_one.items() if len(places) > 1}
        for convention, pairs in elsewhere.items():
            if convention not in meant and content_rules.are_masks([*pairs], [*pairs.values()], self._content):
                meant.add(convention)
        return [name for name in saying if self._convention(name) in meant]

    def _alone_in_their_places(self, names: list[str], saying: set[str]) -> set[Place]:
        """Return places with one file that does not say truth: 1/cell.png beside 1/mask_a.png and 1/mask_b.png."""
        counts = Counter(self._folders.of(name).place for name in names if name not in saying)
        return {place for place, count in counts.items() if place and count == 1}

    def _convention(self, name: str) -> tuple[str, ...]:
        return self._said[name].where, *self._said[name].words

    def _by_name(self, name: str) -> tuple[Group, str, str] | None:
        """Return the images that a truth file is named after, which part of their truth it is, and where they are."""
        place, keys = self._folders.of(name).place, self._said[name].truth_keys
        for key in keys:
            if group := self._index.in_place(place, key.name):
                return group, key.part, ""
        if place and (group := self._index.in_place(place[:-1], stem(place[-1]))):
            return group, stem(name), ""  # masks/a/1.png, masks/a/2.png of images/a.jpg
        for key in keys:
            if group := self._index.near(place, key.name):
                return group, key.part, ""
        for key in keys:
            if group := self._index.anywhere(key.name):
                return group, key.part, ", by the only image of its name"
        return None

    def _claim(self, truth: _Truth, group: Group, part: str, how: str = "") -> None:
        place = self._folders.of(truth.name).place
        image = self._index.groups[group][0]
        beside = self._folders.of(image).label if self._folders.of(truth.name).source else ""
        rule = self._rules.get(truth.name) or f"{truth.label} beside {f'{beside}/' if beside else 'the images'}{how}"
        extra = [step for step in place if step not in group[0]]
        self._claims[truth.name] = Claim(truth.name, group, "/".join([*extra, part]), truth.source, truth.label, rule)

    def _claim_leftovers(self) -> None:
        by_name = {truth.name: truth for truth in self._truths}
        leftover = [name for name in by_name if name not in self._claims]
        for name, group in by_only_image(leftover, self._folders, self._index).items():
            self._claim(by_name[name], group, stem(name), ", all masks beside one image")
        leftover = [name for name in leftover if name not in self._claims]
        claimed = {claim.group for claim in self._claims.values()}
        for name, group in by_number(leftover, self._folders, self._index, claimed).items():
            self._claim(by_name[name], group, "", ", by number")

    def _further_channels(self) -> dict[str, str]:
        """Add the names without _0000 that nnU-Net gives to images; return {a_0001.png: a_0000.png}."""
        first: dict[tuple[Path, str], str] = {}
        further: dict[str, str] = {}
        stems = {(self._folders.of(truth.name).place, stem(truth.name)) for truth in self._truths}
        channels = [(image, found) for image in self._images if (found := _CHANNEL.fullmatch(stem(image)))]
        for image, found in channels:
            place = self._folders.of(image).place
            if found[2] == "0000" and (place, found[1]) in stems and (place, found[1]) not in self._index.groups:
                first[folder_of(image), found[1]] = image
                self._index.add_name(found[1], (place, stem(image)))
        for image, found in channels:
            if found[2] != "0000" and (folder_of(image), found[1]) in first:
                further[image] = first[folder_of(image), found[1]]
        return further

    def _why_alone(self, name: str, left_out: dict[str, str]) -> str:
        keys = [key.name for key in self._said[name].truth_keys if key.name]
        of_name = next((groups for key in keys if (groups := self._index.of_name(key))), [])
        if of_name:
            images = [self._index.groups[group][0] for group in of_name]
            if len(images) > 1:
                return f"It is truth, and no folder says whether of {images[0]} or of {images[1]}."
            return f"It is truth, and {images[0]} is not in a place that belongs to it."
        if out := next((left_out[key] for key in keys if key in left_out), ""):
            return f"It is truth, and its image {out} is not imported."
        return "It is truth, and there is no image of the same name for it."
