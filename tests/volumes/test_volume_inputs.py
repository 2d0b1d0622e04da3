"""Signals, volumes and video from arrays, files and folders, and the files that explanations of them are kept in."""

from __future__ import annotations

import io
import json
import wave
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")

import shisen  # noqa: E402
from nets_volumes import Bright, convolutional  # noqa: E402
from shisen.cli.main import main  # noqa: E402
from shisen.errors import ImageError, InputError, MissingDependency, ShisenWarning  # noqa: E402
from shisen.models.volume_pixels import resampling  # noqa: E402

AFFINE = np.array([[2.0, 0, 0, -20], [0, 2.0, 0, -30], [0, 0, 5.0, -10], [0, 0, 0, 1]])


def scan(shape: tuple[int, ...] = (20, 24, 12)) -> Any:
    values = np.full(shape, -1000, np.int16)
    values[4:-4, 4:-4, 2:-2] = 40
    values[12:15, 6:9, 7:9] = 900
    return values


def nifti(path: Path, values: Any, affine: Any = AFFINE) -> Path:
    nibabel.save(nibabel.Nifti1Image(values, affine), path)
    return path


def dicom(path: Path, values: Any, **fields: Any) -> Path:
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = values.shape[-2:]
    if values.ndim == 3:
        data.NumberOfFrames = len(values)
    data.BitsAllocated = data.BitsStored = 16
    data.HighBit, data.PixelRepresentation, data.SamplesPerPixel = 15, 0, 1
    data.PhotometricInterpretation = "MONOCHROME2"
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    for name, value in fields.items():
        setattr(data, name, value)
    data.PixelData = (values + 1024).astype(np.uint16).tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def series(folder: Path, values: Any, **fields: Any) -> Path:
    folder.mkdir()
    for k, plane in enumerate(values):
        place = {"ImagePositionPatient": [-10, -20, 5.0 * k], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        own = {"SeriesInstanceUID": "1.2.3", "PixelSpacing": [2, 3], **place, **fields}
        dicom(folder / f"slice_{(7 * k) % len(values)}", plane, **own)
    return folder


def model(rank: int = 3, channels: int = 1, **preprocess: Any) -> shisen.Model:
    return shisen.wrap(convolutional(rank, channels), preprocess=preprocess or None)


def test_a_window_cuts_off_and_a_zscore_standardizes(tmp_path: Path) -> None:
    file = nifti(tmp_path / "scan.nii.gz", scan())
    windowed = model(size=(20, 24, 12), window=(40, 400))
    x, frame = windowed.prepare(windowed.read(file))
    np.testing.assert_allclose(x[..., 0], np.clip((scan() + 160) / 400, 0, 1), atol=1e-6)
    assert frame.image == frame.size == (20, 24, 12)
    standard = model(size=(20, 24, 12), zscore=True)
    x, _ = standard.prepare(standard.read(file))
    np.testing.assert_allclose(x[..., 0], (scan() - scan().mean()) / scan().std(), atol=1e-5)
    with pytest.raises(ImageError, match="8, 12 or 16 bits.*window=.*--zscore"):
        model(size=16).read(file)
    with pytest.raises(InputError, match="excludes `data_range`"):
        shisen.Preprocess((8, 8, 8), window=(40, 400), data_range=(0, 1))


def test_without_preprocessing_values_go_in_as_stored_and_a_warning_says_so(tmp_path: Path) -> None:
    file, plain = nifti(tmp_path / "scan.nii", scan()), model()
    image = plain.read(file)
    with pytest.warns(ShisenWarning, match="values as stored, -1000 to 900.*--window"):
        x, _ = plain.prepare(image)
    np.testing.assert_array_equal(x[..., 0], scan())


def test_axes_that_point_elsewhere_are_said_and_turned(tmp_path: Path) -> None:
    turned = np.diag([-1.0, 1, 1, 1]) @ AFFINE
    file = nifti(tmp_path / "scan.nii.gz", scan(), turned)
    with pytest.warns(ShisenWarning, match="point as LAS.*orientation="):
        stored = model(zscore=True, size=8).read(file)
    np.testing.assert_array_equal(stored.pixels[..., 0], scan())
    image = model(zscore=True, size=8, orientation="SAR").read(file)
    np.testing.assert_array_equal(image.pixels[..., 0], scan()[::-1].transpose(2, 1, 0))
    at = [7, 6, 12]  # a voxel of the turned array lies where the stored one lies
    there = image.space.affine @ [*at, 1]
    np.testing.assert_allclose(there, turned @ [scan().shape[0] - 1 - at[2], at[1], at[0], 1])
    with pytest.raises(ImageError, match="direction of each of three axes"):
        model(zscore=True, size=8, orientation="XYZ").read(file)
    with pytest.raises(ImageError, match="position unknown"):
        model(zscore=True, size=8, orientation="RAS").read(scan())


def test_a_dicom_series_is_sorted_by_position_in_hounsfield_units(tmp_path: Path) -> None:
    values = scan().transpose(2, 1, 0)
    folder = series(tmp_path / "ct", values)
    image = model(zscore=True, size=8).read(folder)
    np.testing.assert_array_equal(image.pixels[..., 0], values)
    np.testing.assert_allclose(image.space.affine @ [0, 0, 0, 1], [10, 20, 0, 1])  # DICOM counts to the left and back
    np.testing.assert_allclose(image.space.affine @ [2, 1, 1, 1], [7, 18, 10, 1])
    (folder / "slice_3").unlink()
    with pytest.warns(ShisenWarning, match="5 to 10 apart"):
        model(zscore=True, size=8).read(folder)
    dicom(folder / "other", values[0], SeriesInstanceUID="9.9", ImagePositionPatient=[0, 0, 99])
    with pytest.raises(ImageError, match="one DICOM series.*2 series"):
        model(zscore=True, size=8).read(folder)


def test_one_dicom_file_is_an_image_or_a_volume_of_frames(tmp_path: Path) -> None:
    values = scan().transpose(2, 1, 0)
    whole = model(zscore=True, size=8).read(dicom(tmp_path / "cine.dcm", values))
    np.testing.assert_array_equal(whole.pixels[..., 0], values)
    flat = model(2, size=(24, 20), window=(40, 400))
    x, _ = flat.prepare(flat.read(dicom(tmp_path / "xray.dcm", values[7])))
    np.testing.assert_allclose(x[..., 0], np.clip((values[7] + 160) / 400, 0, 1), atol=1e-6)


def frames(count: int = 10) -> Any:
    pixels = np.zeros((count, 12, 16, 3), np.uint8)
    pixels[np.arange(count), :, :, 0] = (np.arange(count) * 20)[:, None, None]
    return pixels


def test_video_is_frames_evenly_spaced(tmp_path: Path) -> None:
    pixels = frames()
    stills = [Image.fromarray(f) for f in pixels]
    stills[0].save(tmp_path / "clip.gif", save_all=True, append_images=stills[1:], duration=100)
    (tmp_path / "frames").mkdir()
    for i, still in enumerate(stills):
        still.save(tmp_path / "frames" / f"f{i}.png")  # f10 would come after f1 by letters
    video = model(3, 3, size=(5, 12, 16))
    for source in (tmp_path / "frames", tmp_path / "clip.gif"):
        x, _ = video.prepare(video.read(source))
        np.testing.assert_allclose(x[..., 0], pixels[1::2, ..., 0] / 255, atol=0.01)
    assert video.read(tmp_path / "clip.gif").space.rate == 5.0
    assert model(3, 3).read(tmp_path / "frames").size == (10, 12, 16)


def test_video_files_are_read(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    with av.open(str(tmp_path / "clip.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 16, 12, "yuv420p"
        for pixels in frames():
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        file.mux(stream.encode())
    image = model(3, 3, size=(5, 12, 16)).read(tmp_path / "clip.mp4")
    assert image.size == (5, 12, 16)
    assert image.space.rate == pytest.approx(5.0)
    np.testing.assert_allclose(image.pixels[..., 0].mean((1, 2)), [20, 60, 100, 140, 180], atol=12)


def test_signals_come_from_arrays_tables_and_sound(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", values)
    np.savez(tmp_path / "b.npz", signal=values, other=np.zeros(3))
    np.savetxt(tmp_path / "c.csv", values, delimiter=",", header="I,II", comments="")
    ecg = model(1, 2)
    for source in (values, torch.tensor(values.T), *(tmp_path / name for name in ("a.npy", "b.npz", "c.csv"))):
        np.testing.assert_allclose(ecg.read(source).pixels, values, atol=1e-6)
    with pytest.raises(ImageError, match=r"channels come last.*array\.T"):
        ecg.read(values.T)
    with wave.open(str(tmp_path / "d.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(100)
        file.writeframes((values * 32767).astype("<i2").tobytes())
    sound = ecg.read(tmp_path / "d.wav")
    np.testing.assert_allclose(sound.pixels, values, atol=1e-4)
    assert sound.space.rate == 100


@pytest.mark.parametrize(("length", "new"), [(10, 4), (4, 10), (7, 7), (50, 3)])
def test_resampling_is_that_of_pillow(length: int, new: int) -> None:
    line = np.random.default_rng(0).random((1, length)).astype(np.float32)
    want = np.asarray(Image.fromarray(line).resize((new, 1), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(line @ resampling(length, new, "bilinear").T, want, atol=1e-5)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_a_map_lies_where_the_network_looked(fit: str) -> None:
    volume = np.zeros((30, 20, 20), np.float32)
    volume[14:20, 4:9, 10:16] = 1.0
    seen = shisen.explain(
        shisen.wrap(Bright(3), preprocess=shisen.Preprocess((16, 16, 16), channels=1, fit=fit)), volume, target=0
    )
    heat = seen.heatmap
    assert heat.shape == volume.shape
    center = np.argwhere(heat > 0.5).mean(axis=0)
    np.testing.assert_allclose(center, [16.5, 6, 12.5], atol=1.0)


def test_explanations_of_volumes_are_written_in_every_format(tmp_path: Path) -> None:
    file = nifti(tmp_path / "scan.nii.gz", scan())
    bright = shisen.wrap(Bright(3, 0.5), preprocess={"size": (20, 24, 12), "window": (400, 1200)})
    seen = shisen.explain(bright, file, target=0)
    back = nibabel.load(seen.save(tmp_path / "map.nii.gz"))
    np.testing.assert_allclose(back.affine, AFFINE)
    np.testing.assert_allclose(back.get_fdata(), seen.values, atol=1e-6)
    assert json.loads((tmp_path / "map.json").read_text())["values"]["shape"] == [20, 24, 12]
    np.testing.assert_array_equal(np.load(seen.save(tmp_path / "map.npy")), seen.values)
    with Image.open(seen.save(tmp_path / "map.gif")) as animation:
        assert animation.n_frames == 12  # slices from below to above
    with Image.open(seen.save(tmp_path / "map.png")) as sheet:
        colors = np.asarray(sheet.convert("RGB")).astype(int)
    assert (colors[..., 0] - colors[..., 2] > 60).any()  # red: the nodule
    with pytest.raises(InputError, match=r"\.gif.*volume or video"):
        shisen.explain(model(1), np.zeros(20, np.float32), target=0).save(tmp_path / "map2.gif")


def test_slices_are_drawn_as_radiologists_look_at_them() -> None:
    from shisen.types import InputImage, Space
    from shisen.viz.volume import cut

    values = scan()[..., None].astype(np.float32)
    slices = cut(InputImage(values, space=Space(AFFINE)), np.zeros(values.shape[:3], np.float32))
    assert slices.pixels.shape == (12, 24, 20)  # from below to above, front at the top, the right side at the left
    np.testing.assert_array_equal(slices.pixels, scan().transpose(2, 1, 0)[:, ::-1, ::-1])
    assert slices.aspect == 1.0
    assert slices.right


def test_signals_are_drawn_as_lines(tmp_path: Path) -> None:
    values = np.zeros((200, 2), np.float32)
    values[120:140] = 2.0
    seen = shisen.explain(shisen.wrap(Bright(1, 0.5, 2)), values, target=0)
    with Image.open(seen.save(tmp_path / "map.png")) as drawn:
        pixels = np.asarray(drawn.convert("RGB")).astype(int)
    red = np.nonzero((pixels[..., 0] - pixels[..., 2] > 60).any(axis=0))[0]
    assert 0.55 < red.mean() / pixels.shape[1] < 0.75  # samples 120 to 140 of 200


def exit_code(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


def test_the_command_line_explains_scans_and_signals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("volume_nets.py").write_text(
        "from nets_volumes import Bright\ndef scans():\n    return Bright(3)\ndef signals():\n    return Bright(1)\n"
    )
    nifti(tmp_path / "scan.nii.gz", scan())
    series(tmp_path / "ct", scan().transpose(2, 1, 0))
    np.save("ecg.npy", np.ones((60, 1), np.float32))
    scans = ["-m", "volume_nets:scans", "--size", "12", "--window", "400,1200", "-t", "0", "-o", "out"]
    assert exit_code("explain", "scan.nii.gz", "ct", *scans) == 0
    assert Path("out/scan_grad_cam_0.png").is_file()
    assert Path("out/ct_grad_cam_0.png").is_file()
    for suffix in ("nii.gz", "gif"):
        assert exit_code("explain", "scan.nii.gz", *scans, "--format", suffix) == 0
        assert Path(f"out/scan_grad_cam_0.{suffix}").is_file()
    assert exit_code("explain", "ecg.npy", "-m", "volume_nets:signals", "-o", "out/ecg.png") == 0
    assert Path("out/ecg.png").is_file()
    assert exit_code("predict", "ct", "-m", "volume_nets:scans", "--size", "12", "--window", "400,1200") == 0


def test_hostile_files_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    header = nibabel.Nifti1Header()
    header.set_data_shape((20000, 20000, 20000))
    header.set_data_dtype(np.float32)
    header["magic"], header["vox_offset"] = b"n+1\0", 352
    (tmp_path / "huge.nii").write_bytes(header.binaryblock + bytes(4) + bytes(100))
    with pytest.raises(ImageError, match="500 million values"):
        model().read(tmp_path / "huge.nii")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        claim = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            claim, {"descr": "<f8", "fortran_order": False, "shape": (10**5, 10**5, 10**5)}
        )
        packed.writestr("volume.npy", claim.getvalue())
    (tmp_path / "huge.npz").write_bytes(archive.getvalue())
    with pytest.raises(ImageError, match="at most 4,000,000,000 bytes"):
        model().read(tmp_path / "huge.npz")
    np.save(tmp_path / "pickle.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ImageError, match="one array of numbers"):
        model().read(tmp_path / "pickle.npy")
    huge = dicom(tmp_path / "huge.dcm", scan()[0], Rows=60000, Columns=60000)
    with pytest.raises(ImageError, match="500 million values"):
        model().read(huge)


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.nii", "x.dcm", "clip.gif"])
def test_damaged_files_are_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    if name.endswith("dcm"):
        dicom(tmp_path / name, scan().transpose(2, 1, 0))
    elif name.endswith("gif"):
        Image.fromarray(frames()[0]).save(tmp_path / name)
    else:
        nifti(tmp_path / name, scan())
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ImageError, match=r"Received: .*\. \w"):
        model().read(tmp_path / name)


def test_a_missing_package_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    scan_file, cine = nifti(tmp_path / "scan.nii.gz", scan()), dicom(tmp_path / "cine.dcm", scan())
    for package, file in (("nibabel", scan_file), ("pydicom", cine)):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(MissingDependency, match=rf"{package}.*shisen\[volumes\]"):
            model().read(file)


def test_another_number_of_axes_is_refused_in_one_sentence() -> None:
    with pytest.raises(ImageError, match=r"a volume or video.*shape \(8, 8\)"):
        model().read(np.zeros((8, 8), np.float32))
    with pytest.raises(ImageError, match=r"a signal.*shape \(4, 8, 8\)"):
        model(1).read(np.zeros((4, 8, 8), np.float32))
    smooth = model(size=(4, 4, 4), interpolation="lanczos")
    image = smooth.read(np.zeros((8, 8, 8), np.float32))
    with pytest.raises(InputError, match="bilinear"):
        smooth.prepare(image)
