"""Downloads from a local server that misbehaves, and unpacking. Alone: pytest tests/test_data_download.py"""

import hashlib
import io
import json
import tarfile
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from seglib import cli, data, paths
from seglib.config import Config
from seglib.data import download, getting, isic2016, unpack
from seglib.data.download import RECORD, Remote, fetch, fetch_all

# pycocotools is not quite at home with NumPy 2 yet
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
CONTENT = bytes(range(256)) * 4000  # about 1 MB
URL = "https://files.example.org/sets/a.bin"


class Server(ThreadingHTTPServer):
    """Serves `files` (path → bytes); its faults are set by the tests."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.asked = {}, []
        self.break_after, self.breaks, self.ranges, self.pause, self.tag = 0, 0, True, 0.0, '"1"'


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append((self.path, wanted))
        if self.path not in server.files:
            return self.send_error(404)
        content, start = server.files[self.path], 0
        if wanted and server.ranges and self.headers.get("If-Range") == server.tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.send_header("ETag", server.tag)
        self.end_headers()
        time.sleep(server.pause)
        if server.breaks:
            server.breaks -= 1
            self.wfile.write(content[start : start + server.break_after])
            self.wfile.flush()
            self.close_connection = True
            return self.connection.close()
        self.wfile.write(content[start:])


@pytest.fixture
def server(monkeypatch):
    server = Server()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    server.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("SEGLIB_MIRROR", server.address)
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(download, "WAIT", 0)
    server.files["/files.example.org/sets/a.bin"] = CONTENT
    yield server
    server.shutdown()
    server.server_close()


def left_over(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_first_download_is_recorded_and_not_repeated(server, tmp_path):
    assert fetch(Remote(URL), tmp_path).read_bytes() == CONTENT
    assert (tmp_path / RECORD).read_text() == f"{hashlib.sha256(CONTENT).hexdigest()}  a.bin\n"
    fetch(Remote(URL), tmp_path)
    assert len(server.asked) == 1 and left_over(tmp_path) == ["a.bin", RECORD]


def test_a_broken_transfer_goes_on_where_it_ended(server, tmp_path):
    server.breaks, server.break_after = 2, 300_000
    assert fetch(Remote(URL), tmp_path).read_bytes() == CONTENT
    starts = [int(wanted[6:-1]) if wanted else 0 for _, wanted in server.asked]
    assert len(starts) == 3 and starts[0] == 0 < starts[1] < starts[2]
    assert left_over(tmp_path) == ["a.bin", RECORD]


def test_a_later_call_goes_on_too(server, tmp_path):
    server.breaks, server.break_after = download.ATTEMPTS, 100_000
    with pytest.raises(OSError, match=r"bytes|[Bb]roken|ended after"):
        fetch(Remote(URL), tmp_path)
    assert "a.bin" not in left_over(tmp_path) and (tmp_path / "a.bin.part").stat().st_size > 0
    assert fetch(Remote(URL), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1][1] not in (None, "bytes=0-") and left_over(tmp_path) == ["a.bin", RECORD]


@pytest.mark.parametrize("fault", ["no ranges", "another file"])
def test_what_cannot_be_resumed_starts_anew(server, tmp_path, fault):
    server.breaks, server.break_after = download.ATTEMPTS, 100_000
    with pytest.raises(OSError):
        fetch(Remote(URL), tmp_path)
    if fault == "no ranges":
        server.ranges = False
    else:
        server.files["/files.example.org/sets/a.bin"], server.tag = CONTENT[::-1], '"2"'
    assert fetch(Remote(URL), tmp_path).read_bytes() == server.files["/files.example.org/sets/a.bin"]


def test_another_file_than_at_the_first_download_is_refused(server, tmp_path):
    fetch(Remote(URL), tmp_path).unlink()
    server.files["/files.example.org/sets/a.bin"] = CONTENT[:-1] + b"x"
    with pytest.raises(ValueError, match=r"a.bin is not the file expected: .*downloads.sha256 recorded at the first"):
        fetch(Remote(URL), tmp_path)
    assert left_over(tmp_path) == [RECORD]


def test_a_published_checksum_must_hold(server, tmp_path):
    good, bad = (f"md5:{hashlib.md5(c).hexdigest()}" for c in (CONTENT, b""))
    with pytest.raises(ValueError, match="is not the one that its host publishes"):
        fetch(Remote(URL, bad), tmp_path)
    assert left_over(tmp_path) == [] and fetch(Remote(URL, good), tmp_path).read_bytes() == CONTENT


def test_a_file_that_rotted_on_disk_is_fetched_again(server, tmp_path):
    fetch(Remote(URL), tmp_path).write_bytes(b"rotten")
    assert fetch(Remote(URL), tmp_path).read_bytes() == CONTENT


def test_a_slow_host_is_waited_for_and_a_silent_one_is_not(server, tmp_path, monkeypatch):
    server.pause = 0.2
    monkeypatch.setattr(download, "PATIENCE", (1, 1))
    fetch(Remote(URL), tmp_path).unlink()
    monkeypatch.setattr(download, "PATIENCE", (1, 0.05))
    monkeypatch.setattr(download, "ATTEMPTS", 2)
    with pytest.raises(OSError, match="timed out"):
        fetch(Remote(URL), tmp_path)


def test_without_a_mirror_the_official_address_is_asked(monkeypatch):
    monkeypatch.delenv("SEGLIB_MIRROR", raising=False)
    assert download.mirrored(URL) == URL
    monkeypatch.setenv("SEGLIB_MIRROR", "https://mirror.example.org/x/")
    assert download.mirrored(URL) == "https://mirror.example.org/x/files.example.org/sets/a.bin"


def test_a_proxy_is_used(server, tmp_path, monkeypatch):
    monkeypatch.delenv("SEGLIB_MIRROR")
    monkeypatch.setenv("HTTP_PROXY", server.address)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server.files["http://files.example.org/sets/a.bin"] = CONTENT  # a proxy is asked for the whole address
    assert fetch(Remote(URL.replace("https", "http")), tmp_path).read_bytes() == CONTENT


def test_many_files_come_together_and_a_failure_keeps_those_that_came(server, tmp_path):
    for i in range(20):
        server.files[f"/files.example.org/{i}.jpg"] = bytes([i])
    remotes = [Remote(f"https://files.example.org/{i}.jpg") for i in range(21)]
    with pytest.raises(OSError, match="404"):
        fetch_all(remotes, tmp_path, "images")
    fetch_all(remotes[:20], tmp_path, "images")
    assert all((tmp_path / f"{i}.jpg").read_bytes() == bytes([i]) for i in range(20))
    assert len((tmp_path / RECORD).read_text().splitlines()) == 20


def jpeg(shade):
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), (shade % 256, 100, 50)).save(buffer, "JPEG")
    return buffer.getvalue()


def png(mode="L", value=0, size=(40, 30)):
    buffer = io.BytesIO()
    mask = Image.new(mode, size, value)
    mask.paste(255 if value == 0 else 1, (0, 0, 20, 30))
    mask.save(buffer, "PNG")
    return buffer.getvalue()


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def serve_isic(server):
    for part, numbers in {"Training": range(10), "Test": range(10, 13)}.items():
        data_folder, masks = f"ISBI2016_ISIC_Part1_{part}_Data", f"ISBI2016_ISIC_Part1_{part}_GroundTruth"
        images = {f"{data_folder}/ISIC_{i:07d}.jpg": jpeg(20 * i) for i in numbers}
        truth = {f"{masks}/ISIC_{i:07d}_Segmentation.png": png() for i in numbers}
        for name, files in ((data_folder, images), (masks, truth)):
            server.files[f"/isic-challenge-data.s3.amazonaws.com/2016/{name}.zip"] = zipped(files)


def test_make_data_brings_isic_from_nothing_to_checked(server, capsys):
    serve_isic(server)
    assert cli.main(["data", "isic2016"]) == 0
    assert "isic2016, 128 px: 9 train, 1 val, 3 test; every file was read" in capsys.readouterr().out
    asked = len(server.asked)
    assert cli.main(["data", "isic2016"]) == 0 and len(server.asked) == asked == 4
    assert isic2016.is_there(paths.data() / "isic2016", isic2016.LAYOUTS[1])
    assert left_over(paths.data() / "isic2016") == sorted([*sum(isic2016.LAYOUTS[1].values(), ()), RECORD])


def test_make_data_goes_on_after_a_failure(server, capsys):
    serve_isic(server)
    last = "/isic-challenge-data.s3.amazonaws.com/2016/ISBI2016_ISIC_Part1_Test_GroundTruth.zip"
    held_back = server.files.pop(last)
    assert cli.main(["data", "isic2016"]) == 1
    message = capsys.readouterr().err
    assert "404" in message and "ISBI2016_ISIC_Part1_Test_GroundTruth.zip" in message and "SEGLIB_MIRROR" in message
    server.files[last] = held_back
    assert cli.main(["data", "isic2016"]) == 0
    assert [path for path, _ in server.asked].count(last) == 2 and len(server.asked) == 5


def test_out_of_reach_is_one_message_that_says_which_files_to_put_where(server, capsys):
    server.shutdown()
    server.server_close()
    assert cli.main(["data", "isic2016"]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and str(paths.data() / "isic2016") in message
    assert all(f"{folder}.zip" in message for pair in isic2016.LAYOUTS[1].values() for folder in pair)


def test_a_download_that_is_no_archive_is_named(server, capsys):
    serve_isic(server)
    server.files["/isic-challenge-data.s3.amazonaws.com/2016/ISBI2016_ISIC_Part1_Training_Data.zip"] = b"<html>"
    assert cli.main(["data", "isic2016"]) == 1
    assert "ISBI2016_ISIC_Part1_Training_Data.zip cannot be unpacked" in capsys.readouterr().err


def test_pets_come_as_torchvision_wants_them(server, monkeypatch):
    from torchvision.datasets import OxfordIIITPet

    names = [f"Bengal_{i}" for i in range(8)]
    lists = {f"annotations/{part}.txt": "".join(f"{n} 1 1 1\n" for n in chosen).encode()
             for part, chosen in (("trainval", names[:5]), ("test", names[5:]))}  # fmt: skip
    trimaps = {f"annotations/trimaps/{n}.png": png(value=2) for n in names}
    archives = {"images.tar.gz": tarred({f"images/{n}.jpg": jpeg(30 * i) for i, n in enumerate(names)}),
                "annotations.tar.gz": tarred(lists | trimaps)}  # fmt: skip
    resources = [(url, hashlib.md5(archives[url.rsplit("/", 1)[1]]).hexdigest()) for url, _ in OxfordIIITPet._RESOURCES]
    official = [md5 for _, md5 in OxfordIIITPet._RESOURCES]
    monkeypatch.setattr(OxfordIIITPet, "_RESOURCES", tuple(resources))
    for name, content in archives.items():
        server.files[f"/www.robots.ox.ac.uk/~vgg/data/pets/data/{name}"] = content
    assert getting.get("oxford_pet") and not getting.get("oxford_pet")
    dataset = data.load(Config(dataset="oxford_pet", image_size=32))
    assert len(dataset.test) == 3 and dataset.train.masks.unique().tolist() == [0, 1]
    assert official == ["5c4f3ee8e5d25df40f4fd59a7f44e54c", "95a8c909bbe2e81eed6a22bccdf3f68f"]


def test_of_coco_only_the_chosen_images_are_fetched(server):
    images = [{"id": i, "file_name": f"{i:012d}.jpg", "width": 40, "height": 30,
               "coco_url": f"http://images.cocodataset.org/train2017/{i:012d}.jpg"} for i in range(1, 8)]  # fmt: skip
    things = [{"id": i, "image_id": i, "category_id": 17 if i < 6 else 1, "iscrowd": 0,
               "segmentation": [[0, 0, 20, 0, 20, 30, 0, 30]]} for i in range(1, 8)]  # fmt: skip
    content = {"images": images, "annotations": things,
               "categories": [{"id": 17, "name": "cat"}, {"id": 1, "name": "person"}]}  # fmt: skip
    archive = zipped({"annotations/instances_train2017.json": json.dumps(content)})
    server.files["/images.cocodataset.org/annotations/annotations_trainval2017.zip"] = archive
    for i in range(1, 8):
        server.files[f"/images.cocodataset.org/train2017/{i:012d}.jpg"] = jpeg(20 * i)
    assert getting.get("coco3") and not getting.get("coco3")
    root = paths.data() / "coco3"
    assert left_over(root / "images") == [*(f"{i:012d}.jpg" for i in range(1, 6)), RECORD]
    assert left_over(root) == [RECORD, "images", "instances.json"] and len(server.asked) == 6
    dataset = data.load(Config(dataset="coco3", task="planes", image_size=32))
    assert len(dataset.train) == 3 and dataset.train.masks[:, 1, :, :14].eq(1).all()


def test_of_purdue_s_archive_two_files_are_kept(server):
    names = getting.purdue.FILES.values()
    archive = tarred({f"data/{name}": b"x" for name in [*names, "PurdueShapes5-20-train.gz"]})
    server.files["/engineering.purdue.edu/kak/distDLS/datasets_for_DLStudio.tar.gz"] = archive
    assert getting.get("purdue_shapes5")
    assert left_over(paths.data() / "purdue_shapes5") == sorted([*names, RECORD])


def test_a_generated_source_needs_no_download(server, capsys):
    assert cli.main(["data", "smoke"]) == 0 and not server.asked
    assert "lesions, 32 px: 8 train, 4 val, 6 test" in capsys.readouterr().out


def link(kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("inside/link")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    return buffer.getvalue()


def zip_link():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        member = zipfile.ZipInfo("link")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, "/etc/passwd")
    return buffer.getvalue()


def bomb():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros", bytes(3_000_000))
    return buffer.getvalue()


def lying_bomb():
    content = bytearray(bomb())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):  # declares 5 bytes
        at = content.index(signature) + offset
        content[at : at + 4] = (5).to_bytes(4, "little")
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.zip", zipped({"good": b"1", "../evil": b"1"}), "'../evil' would be written outside"),
        ("a.zip", zipped({"/evil": b"1"}), "'/evil' would be written outside"),
        ("a.zip", zipped({"C:\\evil": b"1"}), "would be written outside"),
        ("a.tar.gz", tarred({"x/../../evil": b"1"}), "would be written outside"),
        ("a.tar", link(tarfile.SYMTYPE), "inside/link is a link"),
        ("a.tar", link(tarfile.LNKTYPE), "inside/link is a link"),
        ("a.tar", link(tarfile.FIFOTYPE), "inside/link is a link or a device"),
        ("a.zip", zip_link(), "link is a link"),
        ("a.zip", bomb(), "absurd size"),
        ("a.zip", lying_bomb(), "absurd size|cannot be unpacked"),
        ("a.zip", zipped({"x": b"1"})[:-30], "cannot be unpacked"),
        ("a.tar.gz", tarred({"x": bytes(range(256)) * 99})[:-300], "cannot be unpacked"),
        ("a.zip", b"", "cannot be unpacked"),
    ],
)
def test_a_hostile_or_broken_archive_leaves_nothing(tmp_path, monkeypatch, name, content, message):
    monkeypatch.setattr(unpack, "SMALL", 1_000_000)
    monkeypatch.setattr(unpack, "MAX_RATIO", 100)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        unpack.unpack(tmp_path / "in" / name, tmp_path / "out")
    assert left_over(tmp_path) == ["in", "out"] and left_over(tmp_path / "out") == []
