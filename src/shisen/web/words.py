"""Everything the page says, in English and Japanese."""

from __future__ import annotations

import re
from typing import Any

from ..errors import InputError, ShisenError

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
    # the image
    "images": ("Images", "画像"),
    "image": ("Image", "画像"),
    "upload": ("Drop an image here, or click to choose", "画像をここにドロップ、またはクリックして選択"),
    "previous": ("‹ Previous", "‹ 前へ"),
    "next": ("Next ›", "次へ ›"),
    "original": ("original", "元の画像"),
    "map": ("map", "マップ"),
    "split": ("How much of the original is shown, in percent", "元の画像を表示する割合（％）"),
    "probe_help": (
        "Point at the image, or use the arrow keys, for the value there.",
        "画像にポインターを置くか矢印キーで、その位置の値を表示します。",
    ),
    "unseen": ("The network did not see this part.", "この部分はネットワークに入力されていません。"),
    "alt_image": ("Image", "画像"),
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
    "colormap": ("Colors", "配色"),
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
        "The image chosen under Explain, by several methods, for its top classes; beside it a second image or "
        "network, each with its own top classes. Times: all classes together.",
        "「説明」タブで選んだ画像を、複数の手法と上位クラスで比べます。2 枚目の画像や別のモデルとも並べられます"
        "（クラスはそれぞれの上位）。時間は全クラスの合計です。",
    ),
    "second_image": ("Second image", "2 枚目の画像"),
    "second_upload": ("… or drop one here", "または画像をここにドロップ"),
    "models": ("Networks", "モデル"),
    "both_models": ("both", "両方"),
    "one_model": (
        "For two networks, start the page with --versus MODEL.",
        "2 つのモデルを比べるには --versus モデル名 で起動してください。",
    ),
    "in_work": ("Comparing", "比較中"),
    "no_methods": ("Choose at least one method and one metric.", "手法と指標を 1 つ以上選んでください。"),
    "figure": ("Comparison", "比較図"),
    "why_not": ("Does not suit this network", "このネットワークには適用できません"),
    "caution": ("Caution – {method}: {words}.", "注意 – {method}: {words}。"),
    "with_caution": ("{method} ⚠ caution", "{method} ⚠ 注意"),
    "passes": (
        "{method}: {n} images sent through the network so far",
        "{method}: ネットワークに通した画像 {n} 枚",
    ),
    "reason": (
        "feature map nearest to the answer: {h} × {w} places, {c} channels",
        "出力に最も近い特徴マップ: {h} × {w}、{c} チャンネル",
    ),
    "no_evidence": (
        "The map shows no evidence.",
        "このマップは根拠を示していません（すべて 0、一定、または負）。別の層や手法、クラスに反する根拠を試してください。",
    ),
    # inside
    "tab_channels": ("Channels", "チャンネル"),
    "tab_filters": ("Filters", "フィルター"),
    "tab_attention": ("Attention", "アテンション"),
    "filters_help": (
        "Images made from noise that excite channels most; the network itself shows what it looks for.",
        "ノイズから作る、チャンネルを最も強く反応させる画像です。ネットワークが何を探しているかを示します。",
    ),
    "which_channels": ("Channels", "チャンネル番号"),
    "which_help": (
        "Such as 3, 8-11. Empty: the four that answer most to the image.",
        "例: 3, 8-11。空欄なら画像に最も強く反応する 4 個。",
    ),
    "bad_channels": (
        "Channels are numbers such as 3, 8-11, at most {most} of them.",
        "チャンネルは 3, 8-11 のような番号で、{most} 個までです。",
    ),
    "recipe": ("Recipe", "作り方"),
    "go_filters": ("Make images", "画像を作る"),
    "filters": ("What the channels like best", "チャンネルが最も好む画像"),
    "climbing": ("Steps", "ステップ"),
    "attention_help": (
        "Where every head of every layer looks in the image chosen under Explain: one at a time with sliders, then all.",
        "「説明」タブで選んだ画像で、各層の各ヘッドが見ている場所です。スライダーで 1 つずつ、その下にすべてを示します。",
    ),
    "no_attention": (
        "This network has no attention. With a transformer, such as `--model timm:vit_tiny_patch16_224`, every head is "
        "shown here.",
        "このネットワークには注意機構がありません。`--model timm:vit_tiny_patch16_224` のような Transformer "
        "では、各ヘッドをここに表示します。",
    ),
    "go_attention": ("Show attention", "注意を表示"),
    "attention": ("Layers × heads", "層 × ヘッド"),
    "one_head": ("One head, chosen with sliders", "スライダーで選ぶ 1 つのヘッド"),
    "inside_help": (
        "What every channel of a layer answers to the image chosen under Explain.",
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
        "Measures methods on the folder's images against maps that know nothing, with 95 % intervals.",
        "フォルダーの画像で各手法を測定し、何も知らないマップと 95 % 区間付きで比べます。",
    ),
    "metrics": ("Metrics", "指標"),
    "count": ("Images", "画像数"),
    "go_trust": ("Evaluate", "評価する"),
    "cancel": ("Cancel", "中止"),
    "canceled": ("Stopped. Nothing is running any more.", "中止しました。実行中の処理はありません。"),
    "working": ("{words}: {done} of {total}", "{words}: {done} / {total}"),
    "starting": ("Starting …", "開始しています…"),
    "finished": ("Done: {n} images, {time}.", "完了: {n} 枚、{time}。"),
    "report": ("Report", "レポート"),
    "save_report": ("Download the report", "レポートを保存"),
    "trust_question": ("What is measured", "測定内容"),
    "few_images": (
        "A recommendation needs at least {least} images; this folder has {n}. Start the page with --folder.",
        "推奨には {least} 枚以上の画像が必要です（現在 {n} 枚）。--folder で画像のあるフォルダーを指定してください。",
    ),
    "recommend_help": (
        "Which method and layer suit this network? Searched on half of the folder, confirmed on the other half.",
        "このネットワークに適した手法と層は？ フォルダーの半分で探し、残りの半分で確かめます。",
    ),
    "budget": ("Seconds to spend", "かける時間（秒）"),
    "go_recommend": ("Recommend", "推奨を求める"),
    "use_it": ("Use it under Explain", "「説明」で使う"),
    "not_here": (
        "It averages several layers or copies, which the page cannot set: take it to the command line or Python.",
        "複数の層または画像の平均を使うため、このページでは設定できません。コマンドラインか Python でお使いください。",
    ),
    "recommended": (
        "Use {name} for {model}, the best of {tried} settings.",
        "{model} には {name} を推奨します（{tried} 設定中で最良）。",
    ),
    "recommended_default": (
        "Stay with {name} for {model}: none of {tried} settings was confirmed to be better.",
        "{model} には {name} のままで十分です（{tried} 設定中、より良いと確認されたものはありません）。",
    ),
    "confirmed": (
        "{metric} against the default on {n} other images: {value:+.3g} (95 % interval {low:+.3g} to {high:+.3g}, "
        "p = {p:.2g}): {verdict}",
        "別の {n} 枚での既定との差 {metric}: {value:+.3g}（95 % 区間 {low:+.3g} ～ {high:+.3g}、p = {p:.2g}）: {verdict}",
    ),
    "reached": (
        "On {n} other images: insertion − deletion {one:.3f}, ADCC {two:.1f} %.",
        "別の {n} 枚での値: insertion − deletion {one:.3f}、ADCC {two:.1f} %。",
    ),
    "too_few": (
        "{n} images are too few to confirm anything: a clear difference needs at least {least}, so {all} in the folder.",
        "{n} 枚では何も確かめられません。明確な差を示すには少なくとも {least} 枚（フォルダー全体で {all} 枚）が必要です。",
    ),
    "flipped": ("flipped", "左右反転"),
    "better": ("better", "良い"),
    "worse": ("worse", "悪い"),
    "different": ("different", "異なる"),
    "no_clear_difference": ("no clear difference", "明確な差なし"),
    "tried": ("All that was tried, on the choosing half", "選択用の半分で試した設定"),
    "tried_heads": ("setting|images|insertion − deletion|ADCC", "設定|画像数|insertion − deletion|ADCC"),
    # audit
    "audit_stopped": (
        "Stopped. Started again, the audit goes on from here.",
        "中止しました。もう一度開始すると、続きから再開します。",
    ),
    "before": ("before", "変更前"),
    "after": ("after", "変更後"),
    "alt_member": ("Image with: {what}", "該当する画像: {what}"),
    "audit_help": (
        "Looks for shortcuts in the folder, one subfolder a class, and proves them by intervention.",
        "クラスごとのサブフォルダーから近道（ショートカット）を探し、介入によって確かめます。",
    ),
    "audited": ("Done: {n} findings, {time}.", "完了: 所見 {n} 件、{time}。"),
    "no_classes": (
        "An audit needs images in one subfolder a class. Start the page with --folder and such a folder.",
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
    "no_upload": ("Choose an image first.", "先に画像を選んでください。"),
}


def say(key: str, lang: str) -> str:
    """Return a text in a language; English for a language that is not known."""
    return WORDS[key][1 if lang == "ja" else 0]


PROGRESS = {
    "Evaluating": "評価中",
    "Choosing": "選択中",
    "Choosing among # settings": "{} 設定から選択中",
    "Confirming": "確認中",
    "Looking at images": "画像を調べています",
    "Looking for what goes with a class": "クラスと結びつくものを探しています",
    "Intervening": "介入して確かめています",
}
"""What work says it is doing, in Japanese, with # for numbers; what is not here stays as it is."""


def progress_words(words: str, lang: str) -> str:
    """Return what work says it is doing, in a language."""
    spoken = PROGRESS.get(re.sub(r"\d+", "#", words)) if lang == "ja" else None
    return words if spoken is None else spoken.format(*re.findall(r"\d+", words))


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


ERRORS = {
    "error": "実行できませんでした。",
    "input": "指定された値は使えません。",
    "image": "この画像は使えません。",
    "image_empty": "画像ファイルが空です。もう一度取得してください。",
    "image_damaged": "画像を読み込めません。破損しているか、画像ではないファイルです。PNG か JPEG で保存し直してください。",
    "image_large": "画像が大きすぎます。このページで扱えるのは 40 MB、5,000 万画素までです。縮小してください。",
    "image_elsewhere": "指定したフォルダーの画像だけを表示できます。一覧から選ぶか、アップロードしてください。",
    "name": "その名前は見つかりません。一覧から選んでください。",
    "model": "このネットワークには適用できません。別の手法または層を選んでください。",
    "model_relu": "この手法には ReLU を使うネットワークが必要です。gradient、smooth_grad、grad_cam などをお使いください。",
    "model_attention": "この手法には（全体を見る）注意機構のあるネットワークが必要です。grad_cam などをお使いください。",
    "model_cam": "CAM は平均プーリングと線形層で終わるネットワークに限られます。grad_cam をお使いください。",
    "package": "必要なパッケージがインストールされていません。",
    "classes": "フォルダーのクラス名がモデルのクラスと一致しません。フォルダー名をモデルのラベルに合わせてください。",
}
"""What went wrong, in Japanese, by an error's `kind`; the library's own sentence, which says what was received, follows."""


class Said(InputError):
    """An error that is already in the visitor's language."""


def in_words(problem: ShisenError, lang: str) -> str:
    """Return an error in a language; in Japanese what kind it is, and then the library's own words."""
    if lang != "ja":
        return str(problem)
    return f"{ERRORS.get(problem.kind, ERRORS['error'])}（{problem}）"
