"""Which mask belongs to which image, for the folder layouts that people have."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from engine.datasets.pairing import Pairing, pair

Truth = str | tuple[str, ...] | None


def understood(*names: str, masks: Collection[str] = ()) -> Pairing:
    """Pair files; if any look like `masks`, all others do not."""
    return pair(sorted(names), (lambda name: name in masks) if masks else None)


def paired(*names: str, masks: Collection[str] = ()) -> dict[str, Truth]:
    """Return the truth of each image: one name, several, or None."""
    return {
        found.image: found.truth if len(found.truth) > 1 else found.truth[0] if found.truth else None
        for found in understood(*names, masks=masks).pairs
    }


def left_out(*names: str, without: Collection[str] = ()) -> dict[str, str]:
    return {entry.name: entry.reason for entry in pair(sorted(names), left_out=without).entries}


LAYOUTS: dict[str, dict[str, Truth]] = {
    "PhenoBench": {"train/images/1.png": "train/semantics/1.png", "val/images/1.png": "val/semantics/1.png"},
    "Cellpose": {"wells_000.tif": "wells_000_masks.tif", "b.png": "b_cp_masks.png"},
    "Carvana": {"train/car_01.jpg": "train_masks/car_01_mask.gif", "train/car_02.jpg": "train_masks/car_02_mask.gif"},
    "two zips with a folder in each": {"train/train/a.jpg": "train_masks/train_masks/a_mask.gif"},
    "VOC": {"JPEGImages/f0.jpg": "SegmentationClass/f0.png"},
    "Cityscapes": {
        "leftImg8bit/train/aachen/aachen_000001_000019_leftImg8bit.png": (
            "gtFine/train/aachen/aachen_000001_000019_gtFine_labelIds.png"
        ),
        "leftImg8bit/val/bonn/bonn_000001_000019_leftImg8bit.png": (
            "gtFine/val/bonn/bonn_000001_000019_gtFine_labelIds.png"
        ),
    },
    "CamVid of SegNet": {"CamVid/train/1.png": "CamVid/trainannot/1.png", "CamVid/val/1.png": "CamVid/valannot/1.png"},
    "CamVid": {"701_StillsRaw_full/0001TP_1.png": "LabeledApproved_full/0001TP_1_L.png"},
    "CVAT": {"default/a.png": "defaultannot/a.png"},
    "BUSI": {
        "benign/benign (1).png": ("benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png"),
        "benign/benign (2).png": "benign/benign (2)_mask.png",
        "normal/normal (1).png": "normal/normal (1)_mask.png",
    },
    "Data Science Bowl 2018": {
        "train/id0/images/id0.png": ("train/id0/masks/3f.png", "train/id0/masks/a1.png"),
        "train/id1/images/id1.png": "train/id1/masks/7b.png",
    },
    "prefixes": {"image_001.png": "mask_001.png", "image_002.png": "mask_002.png"},
    "prefixes without a separator": {"images/img001.png": "masks/mask001.png"},
    "infixes": {"s1_image_003.png": "s1_mask_003.png"},
    "capitals": {"leafRaw.png": "leafMask.png", "leaf2.png": "leaf2Mask.png"},
    "splits": {f"{s}/images/0.png": f"{s}/masks/0.png" for s in ("train", "val", "test")},
    "splits inside": {f"images/{s}/0.png": f"masks/{s}/0.png" for s in ("train", "val", "test")},
    "splits in names": {f"{s}_img/0.png": f"{s}_lab/0.png" for s in ("train", "test")},
    "other words for splits": {"training/images/0.png": "train_masks/0.png", "images/valid/1.png": "masks/val/1.png"},
    "BiaPy": {f"{s}/raw/0.png": f"{s}/label/0.png" for s in ("train", "test")},
    "BiaPy x and y": {"train/x/0.png": "train/y/0.png", "test/x/0.png": "test/y/0.png"},
    "beside, stems repeated": {"a/0.png": "a/0_mask.png", "b/0.png": "b/0_mask.png"},
    "DRIVE": {"training/images/21_training.tif": "training/1st_manual/21_manual1.gif"},
    "CHASE": {"Image_01L.jpg": "Image_01L_1stHO.png"},
    "STARE": {"stare-images/im0001.png": "labels-ah/im0001.ah.png"},
    "CVC-ClinicDB": {"PNG/Original/1.png": "PNG/Ground Truth/1.png", "PNG/Original/2.png": "PNG/Ground Truth/2.png"},
    "ISIC": {
        "ISIC2018_Task1-2_Training_Input/ISIC_1.jpg": ("ISIC2018_Task1_Training_GroundTruth/ISIC_1_segmentation.png")
    },
    "HAM10000": {"HAM10000_images_part_1/ISIC_1.jpg": "HAM10000_segmentations_lesion/ISIC_1_segmentation.png"},
    "Penn-Fudan": {"PNGImages/F1.png": "PedMasks/F1_mask.png"},
    "Oxford pets": {"images/Abyssinian_1.jpg": "annotations/trimaps/Abyssinian_1.png"},
    "ADE20K": {f"images/{s}/1.jpg": f"annotations/{s}/1.png" for s in ("training", "validation")},
    "DUTS": {"DUTS-TR/DUTS-TR-Image/a.jpg": "DUTS-TR/DUTS-TR-Mask/a.png"},
    "DeepGlobe": {"1_sat.jpg": "1_mask.png", "2_sat.jpg": "2_mask.png"},
    "GlaS": {"train_1.bmp": "train_1_anno.bmp", "testA_1.bmp": "testA_1_anno.bmp"},
    "KITTI": {"training/image_2/0_10.png": "training/semantic/0_10.png"},
    "roads of Massachusetts": {
        "tiff/train/a.tiff": "tiff/train_labels/a.tif",
        "tiff/val/b.tiff": "tiff/val_labels/b.tif",
    },
    "cell tracking": {"01/t000.tif": "01_GT/SEG/man_seg000.tif", "01/t001.tif": None},
    "Montgomery": {"CXR_png/M_1.png": ("ManualMask/leftMask/M_1.png", "ManualMask/rightMask/M_1.png")},
    "MVTec": {
        "bottle/train/good/000.png": None,
        "bottle/test/broken/000.png": "bottle/ground_truth/broken/000_mask.png",
    },
    "nnU-Net": {"imagesTr/case_001_0000.png": "labelsTr/case_001.png", "imagesTs/case_002_0000.png": None},
    "labelme to dataset": {"a_json/img.png": "a_json/label.png", "b_json/img.png": "b_json/label.png"},
    "Supervisely": {"ds0/img/a.jpg": "ds0/masks_machine/a.jpg.png"},
    "a folder of masks for each class": {"images/a.png": ("masks/cat/a.png", "masks/dog/a.png")},
    "folders of masks beside each other": {"images/a.png": ("cat_masks/a.png", "dog_masks/a.png")},
    "a folder of masks for each image": {"images/a.jpg": ("masks/a/1.png", "masks/a/2.png"), "images/b.jpg": None},
    "numbered masks of one image": {"images/a.jpg": ("masks/a_0.png", "masks/a_1.png")},
    "numbers alone in common": {
        "images/scan12.png": "masks/result_012.png",
        "images/scan13.png": "masks/result_013.png",
    },
    "a data set called segmentation": {"segmentation/images/a.png": "segmentation/masks/a.png"},
    "all in a folder of a doubtful name": {"mask_project/a.png": "mask_project/a_mask.png", "mask_project/b.png": None},
    "truth of the name of a file": {"images/a.jpg": "masks/a.jpg.png"},
    "BDD100K": {"images/10k/train/a.jpg": "labels/sem_seg/masks/train/a.png"},
    "Mapillary": {"training/images/a.jpg": "training/v1.2/labels/a.png"},
    "Potsdam": {"2_Ortho_RGB/top_potsdam_2_10_RGB.tif": "5_Labels_all/top_potsdam_2_10_label.tif"},
    "SYNTHIA": {"RGB/0.png": "GT/LABELS/0.png"},
    "colour, depth and labels": {"v1/rgb/0.png": "v1/seg/0.png", "v2/rgb/0.png": "v2/seg/0.png"},
    "volumes": {"train-volume.tif": "train-labels.tif", "test-volume.tif": "test-labels.tif"},
    "ilastik": {"a.png": "a_Simple Segmentation.png", "b.png": "b_Simple Segmentation.png"},
    "ImageJ": {"cells 1.tif": "Mask of cells 1.tif"},
    "photographs of masks": {"mask_wearing_1.jpg": "mask_wearing_1_mask.png"},
    "iSAID": {"images/P0.png": "Semantic_masks/images/P0_instance_color_RGB.png"},
    "abbreviations": {"train_img/a.jpg": "train_msk/a.png", "val_img/a.jpg": "val_msk/a.png"},
    "a second suffix inside": {"images/a.jpg": "masks/a.jpg_mask.png"},
    "DAVIS": {f"JPEGImages/480p/{v}/0.jpg": f"Annotations/480p/{v}/0.png" for v in ("bear", "bus")},
    "frames": {f"{v}/frames/0.jpg": f"{v}/masks/0.png" for v in ("v1", "v2")},
    "IDRiD": {
        "A. Segmentation/1. Original Images/a. Training Set/IDRiD_01.jpg": (
            "A. Segmentation/2. All Segmentation Groundtruths/a. Training Set/1. Microaneurysms/IDRiD_01_MA.tif",
            "A. Segmentation/2. All Segmentation Groundtruths/a. Training Set/2. Haemorrhages/IDRiD_01_HE.tif",
        )
    },
    "one image and its masks in a folder": {
        "1/cell.png": ("1/mask_a.png", "1/mask_b.png"),
        "2/cell.png": "2/mask_a.png",
    },
    "a second suffix": {"a.png": "a.mask.png", "b.png": "b.mask.png"},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    wanted = LAYOUTS[layout]
    truths = [name for truth in wanted.values() for name in ((truth,) if isinstance(truth, str) else truth or ())]
    assert paired(*wanted, *truths) == wanted
    assert sum(understood(*wanted, *truths).rules.values()) == sum(truth is not None for truth in wanted.values())


@pytest.mark.parametrize("folder", ["truth", "masks", "mask", "Labels", "GT", "annotations", "ground_truth", "GTs"])
def test_folders_that_mean_truth(folder):
    assert paired("images/a.jpg", f"{folder}/a.png") == {"images/a.jpg": f"{folder}/a.png"}
    assert paired("a.jpg", f"{folder}/a.png") == {"a.jpg": f"{folder}/a.png"}
    assert paired("set/a.jpg", f"set/{folder}/a.png") == {"set/a.jpg": f"set/{folder}/a.png"}


@pytest.mark.parametrize(
    "ending", ["mask", "masks", "cp_masks", "gt", "label", "labels", "seg", "segmentation", "annotation", "GT", "Mask"]
)
def test_endings_and_beginnings_that_mean_truth(ending):
    assert paired("a 1.jpg", f"a 1_{ending}.png", "b.jpg") == {"a 1.jpg": f"a 1_{ending}.png", "b.jpg": None}
    assert paired("a.jpg", f"{ending}_a.png") == {"a.jpg": f"{ending}_a.png"}
    assert paired("images/a.jpg", f"masks/a_{ending}.png") == {"images/a.jpg": f"masks/a_{ending}.png"}
    assert left_out("a.jpg", f"a_{ending}.png", f"b_{ending}.png").keys() == {f"b_{ending}.png"}


def test_of_several_codings_the_classes_are_taken():
    city = "aachen_000001_000019"
    names = [f"leftImg8bit/{city}_leftImg8bit.png"]
    names += [f"gtFine/{city}_gtFine_{coding}.png" for coding in ("color", "instanceIds", "labelIds", "labelTrainIds")]
    found = understood(*names)
    assert found.pairs[0].truth == (f"gtFine/{city}_gtFine_labelIds.png",)
    assert len(found.alternatives) == len(found.entries) == 3
    found = understood("JPEGImages/a.jpg", "SegmentationClass/a.png", "SegmentationObject/a.png")
    assert found.pairs[0].truth == ("SegmentationClass/a.png",)
    assert "SegmentationClass/a.png is taken" in found.entries[0].reason


def test_codings_in_folders():
    found = paired("RGB/0.png", "GT/COLOR/0.png", "GT/LABELS/0.png")
    assert found == {"RGB/0.png": "GT/LABELS/0.png"}
    roads = ["images/10k/train/a.jpg", "labels/sem_seg/colormaps/train/a.png", "labels/sem_seg/masks/train/a.png"]
    assert paired(*roads) == {roads[0]: roads[2]}
    streets = [
        "training/images/a.jpg",
        *(f"training/v1.2/{kind}/a.png" for kind in ("instances", "labels", "panoptic")),
    ]
    assert paired(*streets) == {streets[0]: "training/v1.2/labels/a.png"}


def test_masks_in_a_folder_of_a_doubtful_name_are_no_images_even_if_none_belongs_to_one():
    lost = ["photos/IMG_1.jpg", "wound_masks/x.png", "wound_masks/y.png"]
    assert paired(*lost, masks=lost[1:]) == {lost[0]: None}
    assert paired(*lost, masks=["none of them"]) == dict.fromkeys(lost)


def test_overlays_are_neither_truth_nor_images():
    assert paired("images/a.png", "masks/a.png", "overlay/a.png") == {"images/a.png": "masks/a.png"}
    assert paired("images/a.png", "overlays/a.png") == {"images/a.png": None}


def test_the_field_of_view_is_no_truth_even_where_there_is_no_other_mask():
    names = ["training/images/21_training.tif", "training/1st_manual/21_manual1.gif"]
    names += ["training/mask/21_training_mask.gif", "test/images/01_test.tif", "test/mask/01_test_mask.gif"]
    assert paired(*names) == {names[0]: names[1], "test/images/01_test.tif": None}
    reasons = left_out(*names)
    assert "drawn by hand" in reasons["training/mask/21_training_mask.gif"]
    assert "01_test.tif has none" in reasons["test/mask/01_test_mask.gif"]


def test_further_channels_are_no_images():
    names = ["imagesTr/c_1_0000.png", "imagesTr/c_1_0001.png", "labelsTr/c_1.png"]
    assert paired(*names) == {names[0]: names[2]}
    assert "another channel of imagesTr/c_1_0000.png" in left_out(*names)[names[1]]
    assert paired("images/f_0000.png", "images/f_0001.png", "masks/f_0000.png") == {
        "images/f_0000.png": "masks/f_0000.png",
        "images/f_0001.png": None,
    }


def test_nested_folders_are_kept_apart():
    assert paired("images/train/a.jpg", "images/test/a.jpg", "masks/train/a.png") == {
        "images/train/a.jpg": "masks/train/a.png",
        "images/test/a.jpg": None,
    }


def test_a_folder_beside_is_just_images():
    assert paired("images/a.jpg", "truth/a.png", "unlabelled/a.jpg", "unlabelled/b.jpg") == {
        "images/a.jpg": "truth/a.png",
        "unlabelled/a.jpg": None,
        "unlabelled/b.jpg": None,
    }
    assert paired("target/a.jpg", "y/b.jpg") == {"target/a.jpg": None, "y/b.jpg": None}


def test_truth_in_another_place_finds_the_only_image_of_its_name():
    assert paired("cats/a.jpg", "dogs/b.jpg", "masks/a.png") == {"cats/a.jpg": "masks/a.png", "dogs/b.jpg": None}
    assert paired("cats/a.jpg", "dogs/a.jpg", "masks/a.png") == {"cats/a.jpg": None, "dogs/a.jpg": None}


def test_a_mask_ending_alone_is_a_photograph():
    assert paired("party_mask.jpg", "b.jpg") == {"party_mask.jpg": None, "b.jpg": None}
    assert paired("gt_350.jpg", "a.jpg", "a_mask.png") == {"gt_350.jpg": None, "a.jpg": "a_mask.png"}


def test_a_folder_of_photographs_alone_holds_images_whatever_it_is_called():
    faces = ["mask/1.jpg", "mask/2.jpg"]
    assert paired(*faces, masks=["another"]) == dict.fromkeys(faces)
    assert paired(*faces, masks=faces) == {}, "masks without images"


def test_what_names_leave_open_is_decided_by_content():
    twins = ["Imgs/1.jpg", "Imgs/1.png", "Imgs/2.jpg", "Imgs/2.png"]
    assert paired(*twins, masks=twins[1::2]) == {"Imgs/1.jpg": "Imgs/1.png", "Imgs/2.jpg": "Imgs/2.png"}
    assert paired(*twins, masks=["none of them"]) == dict.fromkeys(twins)
    folders = ["train/photos/1.jpg", "train/outlines/1.png", "test/photos/1.jpg", "test/outlines/1.png"]
    assert paired(*folders, masks=folders[1::2]) == {folders[0]: folders[1], folders[2]: folders[3]}
    assert paired(*folders, masks=["none of them"]) == dict.fromkeys(sorted(folders))
    words = ["a.png", "a_bw.png", "b.png", "b_bw.png"]
    assert paired(*words, masks=words[1::2]) == {"a.png": "a_bw.png", "b.png": "b_bw.png"}
    assert paired(*words, masks=["none of them"]) == dict.fromkeys(words)
    two = ["a.png", "a_instance_color.png"]
    assert paired(*two, masks=two[1:]) == {"a.png": "a_instance_color.png"}
    lesions = [
        f"PH2/{n}/{n}_{kind}/{n}{end}.bmp" for n in ("I1", "I2") for kind, end in (("Photo", ""), ("wound", "_w"))
    ]
    assert paired(*lesions, masks=lesions[1::2]) == {lesions[0]: lesions[1], lesions[2]: lesions[3]}
    maps = ["train/1.jpg", "stuffmaps/train/1.png", "val/1.jpg", "stuffmaps/val/1.png"]
    assert paired(*maps, masks=maps[1::2]) == {maps[0]: maps[1], maps[2]: maps[3]}
    view = ["1.png", "1_gt.png", "1_fov.png", "2.png", "2_fov.png"]
    assert paired(*view, masks=[name for name in view if "_" in name]) == {"1.png": "1_gt.png", "2.png": None}
    photographs = ["input/1.png", "target/1.png", "input/2.png", "target/2.png"]
    assert paired(*photographs, masks=["none of them"]) == dict.fromkeys(sorted(photographs))
    assert paired(*photographs, masks=photographs[1::2]) == {
        "input/1.png": "target/1.png",
        "input/2.png": "target/2.png",
    }
    elsewhere = ["photos/a.png", "drawn/a_mask.png"]
    assert paired(*elsewhere, masks=elsewhere[1:]) == {"photos/a.png": "drawn/a_mask.png"}


def test_case_and_dots_in_names():
    assert paired("Images/IMG_1.JPG", "Masks/img_1.png") == {"Images/IMG_1.JPG": "Masks/img_1.png"}
    assert paired("images/v1.2.jpg", "masks/v1.2.png") == {"images/v1.2.jpg": "masks/v1.2.png"}


def test_why_truth_is_left_out():
    alone = "It is truth, and there is no image of the same name for it."
    assert left_out("images/a.jpg", "truth/b.png") == {"truth/b.png": alone}
    assert left_out("images/a.jpg", "truth/b.png", without=["images/c.dcm"]) == {"truth/b.png": alone}
    assert (
        "its image images/b.jp2 is not imported"
        in left_out("images/a.jpg", "truth/b.png", without=["images/b.jp2"])["truth/b.png"]
    )
    two = left_out("cats/a.jpg", "dogs/a.jpg", "masks/a.png")["masks/a.png"]
    assert two == "It is truth, and no folder says whether of cats/a.jpg or of dogs/a.jpg."
    assert "unlabelled/b.jpg" in left_out("images/a.jpg", "unlabelled/b.jpg", "truth/b.png")["truth/b.png"]
    second = left_out("images/a.jpg", "masks/a.png", "truth/a.png")
    assert second == {"truth/a.png": "The image already has its truth from masks/a.png."}
    assert left_out("images/a.jpg", "masks/a.png", "masks_old/a.png").keys() == {"masks_old/a.png"}


def test_nothing_and_truth_alone():
    assert paired() == {}
    assert paired("truth/a.png") == {}
    assert left_out("truth/a.png").keys() == {"truth/a.png"}
