from collections.abc import Callable
from pathlib import Path

import pytest

from auricle.data.own_tables import read_own_table
from auricle.data.tables import esc50_clips, find_recording, read_table, urbansound8k_clips
from auricle.errors import RefusedError

WriteSound = Callable[..., Path]


def write_table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path


def refusal(table: Path) -> str:
    with pytest.raises(RefusedError) as caught:
        read_own_table(table)
    message = str(caught.value)
    assert message.startswith(str(table))
    assert "\n" not in message
    return message


def test_esc50_rows_become_clips_and_esc10_is_chosen_by_its_column(tmp_path: Path, write_sound: WriteSound) -> None:
    write_table(
        tmp_path / "meta" / "esc50.csv",
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100-A-0.wav,1,0,dog,True,100,A\n"
        "2-101-B-7.wav,2,7,hen,False,101,B\n",
    )
    write_sound(tmp_path / "audio" / "1-100-A-0.wav")
    both = esc50_clips(tmp_path)
    assert [(clip.name, clip.category, clip.fold, clip.group) for clip in both] == [
        ("1-100-A-0.wav", "dog", 1, "100"),
        ("2-101-B-7.wav", "hen", 2, "101"),
    ]
    assert both[0].path == tmp_path / "audio" / "1-100-A-0.wav"
    assert esc50_clips(tmp_path, only_esc10=True) == both[:1]


def test_urbansound8k_rows_become_clips_grouped_by_freesound_id(tmp_path: Path) -> None:
    write_table(
        tmp_path / "metadata" / "UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n100032-3-0-0.wav,100032,0,0.317551,1,5,3,dog_bark\n",
    )
    (clip,) = urbansound8k_clips(tmp_path)
    assert (clip.name, clip.category, clip.fold, clip.group) == ("100032-3-0-0.wav", "dog_bark", 5, "100032")
    assert clip.path == tmp_path / "audio" / "fold5" / "100032-3-0-0.wav"


@pytest.mark.parametrize("text", ["", "path,label\n"])
def test_a_table_without_rows_is_refused(tmp_path: Path, text: str) -> None:
    assert "contains no clips" in refusal(write_table(tmp_path / "clips.csv", text))


def test_a_file_that_was_converted_is_found_by_its_stem(tmp_path: Path, write_sound: WriteSound) -> None:
    write_sound(tmp_path / "1-100.A-0.ogg")
    assert find_recording(tmp_path, "1-100.A-0.wav") == tmp_path / "1-100.A-0.ogg"
    write_sound(tmp_path / "1-100.A-0.wav")
    assert find_recording(tmp_path, "1-100.A-0.wav") == tmp_path / "1-100.A-0.wav"
    assert find_recording(tmp_path, "absent.wav") == tmp_path / "absent.wav"


def test_names_in_a_persons_csv_are_relative_to_it(tmp_path: Path, write_sound: WriteSound) -> None:
    for name in ("a.wav", "sub/été, 🐕.wav"):
        write_sound(tmp_path / "rec" / name)
    table = write_table(
        tmp_path / "rec" / "clips.csv",
        'category,filename,fold,group\r\ndog,./a.wav,3,garden\r\n\r\ncat,"sub/été, 🐕.wav",4,\r\n',
        "utf-8-sig",
    )
    found = read_own_table(table)
    clips = found.clips
    assert (found.has_folds, found.grouping) == (True, "the column group")
    assert [(clip.name, clip.category, clip.fold, clip.group) for clip in clips] == [
        ("a.wav", "dog", 3, "garden"),
        ("sub/été, 🐕.wav", "cat", 4, "sub/été, 🐕.wav"),
    ]
    assert clips[1].path.exists()


def test_files_that_do_not_exist_are_refused_with_the_line_and_the_folder(
    tmp_path: Path, write_sound: WriteSound
) -> None:
    write_sound(tmp_path / "a.wav")
    table = write_table(tmp_path / "clips.csv", "filename,category\na.wav,dog\nb.wav,dog\nc.wav,cat\n")
    assert "2 of 3 files not found, first 'b.wav' (line 3); names are relative to " in refusal(table)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,category\na.wav,dog\n", "no column filename or file_name or file or path or filepath or audio"),
        ("filename:category\na.wav:dog\n", "its columns are filename:category"),
        ("filename,sound\na.wav,dog\n", "no column category or label or class or species or target; its columns"),
        (f"filename,{','.join('abcdefgh')},{'long' * 30}\na.wav{',x' * 9}\n", f"g, h, {'long' * 30}"),
        ("filename,category\na.wav\n", "line 2 has 1 value, the header 2 columns"),
        ("filename,category\na.wav,dog,extra\n", "line 2 has 3 values"),
        ("filename,category\na.wav, \n", "line 2 has no category"),
        ("filename,category\n,dog\n", "line 2 has no filename"),
        (
            "filename,category,fold\na.wav,dog,one\n",
            "line 2: a fold is a whole number from 0, or train, validation or test, not 'one'",
        ),
        ("filename,category,fold\na.wav,dog,-1\n", "not '-1'"),
        ("filename,category,fold\na.wav,dog,\n", "not ''"),
        ('filename,category\n"a.wav,dog\n', "not a CSV file"),
        ("filename,filename,category\na.wav,b.wav,dog\n", "duplicate column"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_the_line(
    tmp_path: Path, write_sound: WriteSound, text: str, words: str
) -> None:
    write_sound(tmp_path / "a.wav")
    assert words in refusal(write_table(tmp_path / "clips.csv", text))


def test_a_table_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin.csv").write_bytes("filename,category\nété.wav,dog\n".encode("latin-1"))
    assert "not UTF-8" in refusal(tmp_path / "latin.csv")
    (tmp_path / "zero.csv").write_bytes(b"filename,category\n\0.wav,dog\n")
    refusal(tmp_path / "zero.csv")
    (tmp_path / "excel.csv").write_bytes(b"PK\x03\x04\xff\xfe\x00")
    refusal(tmp_path / "excel.csv")
    with pytest.raises(RefusedError, match="cannot be read: No such file"):
        read_table(tmp_path / "absent.csv", ("filename",))
