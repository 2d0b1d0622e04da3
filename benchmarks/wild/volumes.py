"""Situations about signals, volumes and video: networks of other than two dimensions, and the files they are given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

import shisen

from .situations import close, noise, refused, works

KIND = "volumes"
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def net_of(rank: int, channels: int = 1) -> nn.Sequential:
    """Return two convolutions, a mean over all positions and a head of two layers."""
    torch.manual_seed(1)
    return nn.Sequential(
        CONV[rank](channels, 4, 3), nn.ReLU(), CONV[rank](4, 6, 3), nn.ReLU(),
        nn.Flatten(2), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3),
    ).eval()  # fmt: skip


def grad_cam(net: nn.Sequential, x: Any, k: int) -> Any:
    """Return Grad-CAM at the second ReLU by plain torch, of one input `(*positions, c)`."""
    a = net[:4](torch.as_tensor(x)[None].movedim(-1, 1)).detach().requires_grad_()
    net[4:](a)[0, k].backward()
    assert a.grad is not None
    weights = a.grad.mean(tuple(range(2, a.dim())), keepdim=True)
    return (weights * a).sum(1).relu()[0].detach().numpy()


def agrees(net: nn.Sequential, x: Any, *, preprocess: Any = None, source: Any = None) -> shisen.Explanation:
    """Raise unless the map of an input is that of plain torch for `x`; return the explanation."""
    model = shisen.wrap(net, preprocess=preprocess)
    found: shisen.Explanation = shisen.explain(model, x if source is None else source, target=1, layer="3")
    close(found.values, grad_cam(net, x, 1), 1e-4)
    assert found.heatmap.shape == found.image.size
    return found


@works(KIND, "a Conv1d network and an ECG of twelve leads")
def ecg(_: Path) -> None:
    agrees(net_of(1, 12), noise(200, 12))


@works(KIND, "a Conv3d network and a volume without an axis of channels")
def conv3d(_: Path) -> None:
    model = shisen.wrap(net_of(3))
    close(
        shisen.explain(model, noise(9, 8, 7), target=1, layer="3").values,
        grad_cam(net_of(3), noise(9, 8, 7)[..., None], 1),
    )


@works(KIND, "a NIfTI file for a network of 16 × 16 × 16, with a window, and the map back in its space")
def nifti(folder: Path) -> None:
    import nibabel

    voxels = np.random.default_rng(0).integers(-200, 400, (16, 16, 16)).astype(np.int16)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(voxels, affine), folder / "scan.nii.gz")
    window = np.clip((voxels + 160) / 400, 0, 1).astype(np.float32)[..., None]
    found = agrees(net_of(3), window, preprocess={"size": 16, "window": (40, 400)}, source=folder / "scan.nii.gz")
    back = nibabel.load(found.save(folder / "map.nii.gz"))
    close(back.affine, affine)
    assert back.shape == (16, 16, 16)


@works(KIND, "a folder of DICOM slices in any order of names")
def dicom(folder: Path) -> None:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    values = np.random.default_rng(0).integers(0, 2000, (8, 12, 10)).astype(np.uint16)
    (folder / "series").mkdir()
    for k, plane in enumerate(values):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        file = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        file.SOPClassUID, file.SOPInstanceUID, file.SeriesInstanceUID = CTImageStorage, generate_uid(), "1.2"
        file.Rows, file.Columns, file.SamplesPerPixel, file.PhotometricInterpretation = 12, 10, 1, "MONOCHROME2"
        file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 16, 15, 0
        file.RescaleSlope, file.RescaleIntercept = 2, -1000
        file.ImagePositionPatient, file.ImageOrientationPatient = [0, 0, 3 * k], [1, 0, 0, 0, 1, 0]
        file.PixelSpacing, file.PixelData = [1, 1], plane.tobytes()
        file.save_as(folder / "series" / f"{(3 * k) % 8}.dcm", enforce_file_format=True)
    units = ((2.0 * values - 1000 + 1000) / 4000).astype(np.float32)[..., None]
    own = {"size": (8, 12, 10), "data_range": (-1000, 3000)}
    agrees(net_of(3), units, preprocess=own, source=folder / "series")


@works(KIND, "a folder of frames and an animated GIF for a network of video")
def video(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 12, 10)).astype(np.uint8)
    frames = [Image.fromarray(p).convert("RGB") for p in pixels]
    (folder / "frames").mkdir()
    for i, frame in enumerate(frames):
        frame.save(folder / "frames" / f"{i}.png")
    frames[0].save(folder / "clip.gif", save_all=True, append_images=frames[1:])
    values = np.repeat(pixels[..., None], 3, axis=3).astype(np.float32) / 255
    for source in ("frames", "clip.gif"):
        agrees(net_of(3, 3), values, preprocess={"size": (6, 12, 10)}, source=folder / source)


@works(KIND, "frames folded into the batch of a network of images: a map for each frame")
def folded(_: Path) -> None:
    class PerFrame(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.images = net_of(2, 3)

        def forward(self, x: Any) -> Any:
            n, c, t, h, w = x.shape
            return self.images(x.transpose(1, 2).reshape(n * t, c, h, w)).view(n, t, -1).mean(1)

    x, net = noise(4, 12, 10, 3), PerFrame().eval()
    found = shisen.explain(shisen.wrap(net, input_shape=x.shape), x, target=1, layer="images.3")
    images = shisen.wrap(net.images)
    a, g = images.gradients(x, shisen.targets.ClassObjective("", ((1.0, (1,)),)), wrt="3")
    close(found.values, (g / 4).mean((0, 1, 2)).mul(a).sum(-1).relu())


@refused(KIND, "a CT without a window, a range or a z-score")
def units(folder: Path) -> None:
    np.save(folder / "ct.npy", np.full((9, 9, 9), -1000, np.int16))
    shisen.explain(shisen.wrap(net_of(3), preprocess={"size": 9}), folder / "ct.npy")


@refused(KIND, "a photo for a network of volumes")
def photo_for_volumes(folder: Path) -> None:
    Image.new("RGB", (20, 20)).save(folder / "photo.png")
    shisen.explain(shisen.wrap(net_of(3, 3)), folder / "photo.png")


@refused(KIND, "an ECG whose channels come first")
def channels_first(_: Path) -> None:
    shisen.explain(shisen.wrap(net_of(1, 12)), noise(12, 200))


@refused(KIND, "superpixels of a volume")
def superpixels(_: Path) -> None:
    shisen.explain(shisen.wrap(net_of(3)), noise(9, 9, 9), "lime", target=1)


@refused(KIND, "a NIfTI file that is cut off")
def cut_off(folder: Path) -> None:
    import nibabel

    nibabel.save(nibabel.Nifti1Image(noise(9, 9, 9), np.eye(4)), folder / "scan.nii.gz")
    (folder / "scan.nii.gz").write_bytes((folder / "scan.nii.gz").read_bytes()[:500])
    shisen.explain(shisen.wrap(net_of(3)), folder / "scan.nii.gz")
