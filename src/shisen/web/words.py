"""Everything the page says, in English and Japanese."""

from __future__ import annotations

from typing import Any

LANGUAGES = {"en": "English", "ja": "日本語"}

WORDS: dict[str, tuple[str, str]] = {
    "tagline": (
        "Where a network looked, and whether to trust it.",
        "ネットワークの視線と、その説明の信頼性を確かめます。",
    ),
    "language": ("Language", "言語"),
    # tabs
    "tab_explain": ("Explain", "説明"),
    "tab_compare": ("Compare", "比較"),
    "tab_inside": ("Inside", "内部"),
    "tab_trust": ("Trust", "信頼性"),
    "tab_audit": ("Audit", "監査"),
    # the picture
    "pictures": ("Pictures", "画像"),
    "picture": ("Picture", "画像"),
    "upload": ("Drop a picture here, or click to choose", "画像をここにドロップ、またはクリックして選択"),
    "previous": ("‹ Previous", "‹ 前へ"),
    "next": ("Next ›", "次へ ›"),
    "original": ("original", "元の画像"),
    "map": ("map", "マップ"),
    "split": ("How much of the original is shown, in percent", "元の画像を表示する割合（％）"),
    "probe_help": (
        "Point at the picture, or use the arrow keys, for the value there.",
        "画像にポインターを置くか矢印キーで、その位置の値を表示します。",
    ),
    "unseen": ("The network did not see this part.", "この部分はネットワークに入力されていません。"),
    "alt_picture": ("Picture", "画像"),
    "alt_overlay": ("Map of {method} for {target}, over {name}", "{name} に重ねた {target} の {method} マップ"),
    # the question
    "answers": (
        "What the network sees – click a class to explain it",
        "ネットワークの答え（クラスをクリックすると説明します）",
    ),
    "method": ("Method", "手法"),
    "layer": ("Layer", "層"),
    "default_layer": ("Default: {layer} – {reason}", "既定: {layer}（{reason}）"),
    "no_layer": (
        "This method looks at the input itself; it has no layer.",
        "この手法は入力そのものを見るため、層はありません。",
    ),
    "class_a": ("Class explained", "説明するクラス"),
    "class_b": ("… rather than", "…ではなく（対比するクラス）"),
    "top_class": ("(top class)", "（最上位）"),
    "nothing": ("(none)", "（なし）"),
    "against": ("Show what speaks against the class", "クラスに反する根拠を表示"),
    "score": ("Score explained", "説明するスコア"),
    "logit": ("logit", "ロジット"),
    "probability": ("probability", "確率"),
    "log_probability": ("log-probability", "対数確率"),
    "question": ("Question", "質問"),
    "drawing": ("Drawing", "表示"),
    "style": ("Style", "スタイル"),
    "blend": ("blend", "重ね合わせ"),
    "mask": ("mask", "マスク"),
    "heatmap": ("heatmap", "ヒートマップ"),
    "contour": ("contour", "等高線"),
    "colormap": ("Colours", "配色"),
    "alpha": ("Strength", "強さ"),
    # what to keep
    "png": ("Download PNG", "PNG を保存"),
    "json": ("Download JSON", "JSON を保存"),
    "again": ("The same on the command line and in Python", "同じ結果を得るコマンドと Python コード"),
    "command": ("Command line", "コマンドライン"),
    "python": ("Python", "Python"),
    "summary": (
        "{method} of “{target}” · {chance} · {time}",
        "「{target}」の {method} · {chance} · {time}",
    ),
    "chance": ("the network answers “{label}”, {p:.1%}", "ネットワークの答え:「{label}」{p:.1%}"),
    # compare
    "methods": ("Methods", "手法"),
    "how_many": ("Classes: how many of the top", "上位クラスの数"),
    "go_compare": ("Compare", "比較する"),
    "compare_help": (
        "The picture chosen under Explain, by several methods, for its top classes. Times: all classes together.",
        "「説明」タブで選んだ画像を、複数の手法と上位クラスで比べます。時間は全クラスの合計です。",
    ),
    "figure": ("Comparison", "比較図"),
    "why_not": ("Does not suit this network", "このネットワークには適用できません"),
    # inside
    "inside_help": (
        "What every channel of a layer answers to the picture chosen under Explain.",
        "「説明」タブで選んだ画像に対する、層の各チャンネルの反応です。",
    ),
    "order": ("Order", "並び順"),
    "strength": ("strongest first", "強い順"),
    "index": ("by number", "番号順"),
    "scale": ("Brightness by", "明るさの基準"),
    "by_channel": ("channel", "チャンネル"),
    "by_layer": ("layer", "層"),
    "page": ("Sheet", "シート"),
    "go_inside": ("Look inside", "内部を見る"),
    "ranked": ("Channels that speak for the top class", "最上位クラスを支持するチャンネル"),
    "grid": ("Channels", "チャンネル一覧"),
    # trust
    "trust_help": (
        "Measures methods on the folder's pictures against maps that know nothing, with 95 % intervals.",
        "フォルダーの画像で各手法を測定し、何も知らないマップと 95 % 区間付きで比べます。",
    ),
    "metrics": ("Metrics", "指標"),
    "count": ("Pictures", "画像数"),
    "go_trust": ("Evaluate", "評価する"),
    "cancel": ("Cancel", "中止"),
    "cancelled": ("Stopped. Nothing is running any more.", "中止しました。実行中の処理はありません。"),
    "working": ("{words}: {done} of {total}", "{words}: {done} / {total}"),
    "starting": ("Starting …", "開始しています…"),
    "finished": ("Done: {n} pictures, {time}.", "完了: {n} 枚、{time}。"),
    "report": ("Report", "レポート"),
    "save_report": ("Download the report", "レポートを保存"),
    "trust_question": ("What is measured", "測定内容"),
    # audit
    "audit_help": (
        "Looks for shortcuts in the folder, one subfolder a class, and proves them by intervention.",
        "クラスごとのサブフォルダーから近道（ショートカット）を探し、介入によって確かめます。",
    ),
    "audited": ("Done: {n} findings, {time}.", "完了: 所見 {n} 件、{time}。"),
    "no_classes": (
        "An audit needs pictures in one subfolder a class. Start the page with --folder and such a folder.",
        "監査にはクラスごとのサブフォルダーの画像が必要です。--folder で指定して起動してください。",
    ),
    "go_audit": ("Start the audit", "監査を開始"),
    # errors
    "error": ("This did not work", "実行できませんでした"),
    "busy": ("This is running already. Cancel it, or wait.", "すでに実行中です。中止するか、お待ちください。"),
    "unexpected": (
        "Something unexpected happened ({kind}). The server's log says more.",
        "予期しないエラーです（{kind}）。詳細はサーバーのログをご覧ください。",
    ),
    "no_upload": ("Choose a picture first.", "先に画像を選んでください。"),
}


def say(key: str, lang: str) -> str:
    """Return a text in a language; English for a language that is not known."""
    return WORDS[key][1 if lang == "ja" else 0]


def choices(keys: tuple[str, ...], lang: str) -> list[tuple[str, str]]:
    """Return `(text, key)` pairs for a list to choose from."""
    return [(say(key, lang), key) for key in keys]


class Spoken:
    """Which part of the page says what, so that all of it can change its language at once."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self._parts: list[tuple[Any, dict[str, Any]]] = []

    def add(self, part: Any, **says: Any) -> Any:
        """Note that properties of a part are these texts (or lists of them to choose from) and return the part."""
        self._parts.append((part, says))
        return part

    @property
    def parts(self) -> list[Any]:
        """Every part that says something."""
        return [part for part, _ in self._parts]

    def texts(self, says: dict[str, Any], lang: str | None = None) -> dict[str, Any]:
        """Return the properties in a language."""
        spoken = lang or self.lang
        return {k: say(v, spoken) if isinstance(v, str) else v(spoken) for k, v in says.items()}

    def updates(self, lang: str) -> list[dict[str, Any]]:
        """Return for every part its properties in a language."""
        return [self.texts(says, lang) for _, says in self._parts]
