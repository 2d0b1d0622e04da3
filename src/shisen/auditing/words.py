"""The words of the report, in English and in Japanese."""

from __future__ import annotations

from collections.abc import Mapping

ENGLISH: Mapping[str, str] = {
    "title": "Audit of an image classifier",
    "verdict_high": "Do not trust this model yet: it relies on {n} shortcuts.",
    "verdict_high_1": "Do not trust this model yet: it relies on a shortcut.",
    "verdict_medium": "Look closer: the model lets itself be moved by {n} things that need not belong to the class.",
    "verdict_medium_1": "Look closer: the model lets itself be moved by a thing that need not belong to the class.",
    "verdict_low": "No shortcut was shown. {n} things go with a class in these images: the model does not use {cleared} "
    "of them; for {open}, that could not be decided.",
    "verdict_none": "No shortcut was found in these images.",
    "verdict_few": "Too few images to tell: no class has the {n} images that an audit needs at least.",
    "few_classes": "Too few images to tell for {n} classes, which have fewer than {least} images: {names}.",
    "accuracy": "Accuracy",
    "images": "images", "image_count": "images",
    "accuracy_of": "({hits} of {n} images; 95 % interval {low} to {high}).",
    "top": "What the model uses",
    "idle": "What else goes with a class in these images", "idle_only": "What goes with a class in these images",
    "idle_text": "The model was not seen to use these. One that is trained anew on such images may.",
    "used": "used by the model",
    "not_used": "not used by the model",
    "not_decided": "not decided",
    "why_no_way": "Not decided: there is no way to put it on other images.",
    "why_few_images": "Not decided: too few images to tell.",
    "why_strong_control": "Not decided: it changes answers, but its control does nearly as much ({control}).",
    "why_weak_copy": "Not decided: the copy is too weak; it makes only {fidelity} of the difference that the original makes "
    "inside the network.",
    "why_partial_copy": "Not decided: only a part was recovered; the copy makes {fidelity} of the difference that the original "
    "makes inside the network.",
    "why_no_comparison": "Not decided: too few images with it or without it to compare the copy with the original.",
    "why_contradiction": "Not decided: taken off, it changes answers; put on, it does not.",
    "why_wide_interval": "Not decided: an effect of up to {upper} points cannot be excluded.",
    "why_not_used": "Not used: the copy is faithful ({fidelity} of the difference inside the network), and its effect is "
    "below {upper} points with 95 % confidence.",
    "witness": "The same difference, put on inside the network: {witness} points.",
    "also": "The same images also stand out by: {what}. All of it was put on together.",
    "nature": "What a class likely is by nature ({n})",
    "in_data": "in the data",
    "not_in_data": "association with the label not proven",
    "patch": "the same patch at {where} of many images",
    "frame": "a frame or a mask around many images",
    "wandering": "the same patch in many images, at changing places",
    "brightness+": "brighter images", "brightness-": "darker images",
    "contrast+": "stronger contrast", "contrast-": "weaker contrast",
    "warmth+": "warmer colors (more red, less blue)", "warmth-": "colder colors (more blue, less red)",
    "greenness+": "greener colors", "greenness-": "less green in the colors",
    "cast+": "a warm tint over everything, as of a lamp or a filter",
    "cast-": "a cold tint over everything, as of shade or a filter",
    "green_cast+": "a green tint over everything", "green_cast-": "a purple tint over everything",
    "saturation+": "stronger colors", "saturation-": "paler colors",
    "sharpness+": "sharper detail", "sharpness-": "softer, blurred detail",
    "compression+": "traces of strong JPEG compression", "compression-": "fewer traces of JPEG compression",
    "border+": "a border of one color", "border-": "no border",
    "text+": "writing in the image, such as a timestamp", "text-": "no writing in the image",
    "noise+": "more noise", "noise-": "less noise",
    "aspect+": "wider images", "aspect-": "taller images",
    "resolution+": "larger image files (more pixels)", "resolution-": "smaller image files (fewer pixels)",
    "headline": "“{label}”: {what}",
    "associated": "{n} images have it; {inside} of them are “{label}”.",
    "makes": "Put on images of other classes, it makes the model say “{label}” for {after} of them instead of {before}.",
    "put_on": "Put on {n} images of other classes, it makes the model say “{label}” for {after} of them instead of "
    "{before}: {effect} points (95 % interval {low} to {high}).",
    "put_on_idle": "Put on {n} images of other classes, the model says “{label}” for {after} of them, before for {before}: "
    "no effect that counts.",
    "control_patch": "With a piece of another image in the same place instead: {control}.",
    "control_property": "Changed the other way instead: {control}.",
    "taken_off": "Taken off {n} images of “{label}”, the fraction called “{label}” goes from {kept} to {undone}.",
    "taken_off_same": "Taken off {n} images of “{label}”, the fraction called “{label}” stays at {kept}.",
    "before": "before", "after": "after", "as_is": "with it",
    "confusion": "Who is taken for whom",
    "rows_true": "Rows: true class. Columns: what the model says. Click a class, or a number of mistakes, for the images.",
    "rows_true_other": "rows, true class; columns, what this model says.",
    "largest": "Most frequent confusions", "taken_for": "taken for",
    "calibration": "Can its confidence be believed?",
    "calibration_text": "On average, confidence and accuracy differ by {error} points. Each dot is images about which the "
    "model is about equally sure, larger for more of them; on the dashed line it is right as often as it is sure.",
    "confidence": "confidence",
    "mistakes": "Most confident mistakes", "says": "the model says",
    "class": "Class", "mean_map": "Where the model looks for this class, on average (yellow: most)",
    "samples": "Images and where the model looked", "groups": "Images for which the model used the same features",
    "group": "Group of {n}",
    "unreadable": "{n} files could not be read:",
    "method": "How this was made, and what it cannot tell",
    "limits": "An audit proposes what it knows to look for: patches that keep their place or their look, and the "
    "global properties listed. A shortcut of another kind, such as an object in the scene, may be missed. "
    "“Used” means that changing images changes predictions; whether that is wrong is for a person to judge. About "
    "one in twenty findings called used, or in the data, can be expected to be chance.",
    "maps_usual": "gradient times activation at the layer {layer}, in the same pass", "maps_chosen": "method {method}",
    "how": "Every image is predicted and attributed ({maps}). "
    "Common patches are sought at each place of a class and compared with other classes; properties are scanned "
    "over all thresholds. Each candidate is then put on images of other classes and taken off its own; images that "
    "carry something the model uses for their own class are left out of that, where enough others are there. p-values: "
    "hypergeometric with correction for the search; sign-flip permutation against a matched control. "
    "Benjamini–Hochberg at 5 % over all candidates.",
    "candidates": "candidates tested", "model": "model", "folder": "folder", "weights": "key of model and images",
    "not_proven": "not proven",
    "versus_text": "{a} is right on {n} images where {b} is wrong, the other way round on {m}; "
    "if the two were equally good, so large a difference would come by chance with p {p}.",
    "points": "{effect} points",
    "suspect": "suspect", "only_right": "Only {who} gets these right ({n} images)",
    "behind": "The images behind the confusions",
    "maps_by": "Images and methods: where each method sees evidence for “{label}”",
    "image": "image",
    "background_text": "{evidence} of the evidence lies in what is likely background, which covers {area} of the images.",
    "glance": "At a glance", "details": "details", "hardest": "Recognized least often",
    "versions": "versions", "versus": "The other model", "share": "share", "nobody": "none",
    "top_left": "the top left", "top_middle": "the top", "top_right": "the top right", "left": "the left",
    "center": "the center", "right": "the right", "bottom_left": "the bottom left", "bottom_middle": "the bottom",
    "bottom_right": "the bottom right", "around": "the border", "everywhere": "all parts",
}  # fmt: skip

JAPANESE: Mapping[str, str] = {
    "title": "画像分類モデルの監査",
    "verdict_high": "このモデルはまだ信頼できません。{n} 件の「近道」に頼っています。",
    "verdict_medium": "注意が必要です。クラスと本来関係のない {n} 件の要素に、モデルの答えが左右されています。",
    "verdict_low": "近道は確認されませんでした。クラスと結びついた要素が {n} 件あります。うち {cleared} 件はモデルが使っておらず、"
    "{open} 件は判定できませんでした。",
    "verdict_few": "画像が少なすぎて判定できません。監査に必要な {n} 枚の画像があるクラスがありません。",
    "few_classes": "画像が {least} 枚未満で判定できないクラスが {n} 個あります：{names}。",
    "verdict_none": "これらの画像から近道は見つかりませんでした。",
    "accuracy": "正解率",
    "images": "枚", "image_count": "画像の数",
    "accuracy_of": "（{n} 枚のうち {hits} 枚、95 % 信頼区間 {low} ～ {high}）。",
    "top": "モデルが使っていること",
    "idle": "ほかに、クラスと結びついて現れること", "idle_only": "クラスと結びついて現れること",
    "idle_text": "このモデルが使うとは確かめられませんでした。ただし、同じような画像で学習し直すと使うようになるかもしれません。",
    "used": "モデルが使っている",
    "not_used": "モデルは使っていない",
    "not_decided": "判定できない",
    "why_no_way": "判定できません：ほかの画像に加える方法がありません。",
    "why_few_images": "判定できません：画像が少なすぎます。",
    "why_strong_control": "判定できません：答えは変わりますが、対照でもほぼ同じだけ変わります（{control}）。",
    "why_weak_copy": "判定できません：再現が不十分です。ネットワーク内部での違いは、元の {fidelity} にとどまります。",
    "why_partial_copy": "判定できません：一部しか再現できませんでした。ネットワーク内部での違いは、元の {fidelity} です。",
    "why_no_comparison": "判定できません：ある画像またはない画像が少なく、再現を元と比べられません。",
    "why_contradiction": "判定できません：取り除くと答えが変わりますが、加えても変わりません。",
    "why_wide_interval": "判定できません：最大 {upper} ポイントの効果がないとは言えません。",
    "why_not_used": "使われていません：再現は忠実で（ネットワーク内部での違いは元の {fidelity}）、効果は 95 % の確かさで "
    "{upper} ポイント未満です。",
    "witness": "同じ違いをネットワークの内部で加えた場合：{witness} ポイント。",
    "also": "同じ画像には次の特徴もあります：{what}。すべてまとめて加えました。",
    "nature": "クラス本来の特徴とみられるもの（{n} 件）",
    "in_data": "データにある",
    "not_in_data": "ラベルとの関連は証明されていない",
    "patch": "{where}にある、どれも同じに見える部分",
    "frame": "画像を囲む枠やマスク",
    "wandering": "位置は変わるが、どれも同じに見える部分",
    "brightness+": "明るい画像", "brightness-": "暗い画像",
    "contrast+": "強いコントラスト", "contrast-": "弱いコントラスト",
    "warmth+": "暖かい色（赤が多く青が少ない）", "warmth-": "冷たい色（青が多く赤が少ない）",
    "greenness+": "緑の多い色", "greenness-": "緑の少ない色",
    "cast+": "全体にかかった暖かい色味（照明やフィルターなど）", "cast-": "全体にかかった冷たい色味（日陰やフィルターなど）",
    "green_cast+": "全体にかかった緑の色味", "green_cast-": "全体にかかった紫の色味",
    "saturation+": "鮮やかな色", "saturation-": "淡い色",
    "sharpness+": "くっきりした細部", "sharpness-": "ぼやけた細部",
    "compression+": "強い JPEG 圧縮の跡", "compression-": "JPEG 圧縮の跡が少ない",
    "border+": "単色の縁取り", "border-": "縁取りがない",
    "text+": "画像の中の文字（日付など）", "text-": "文字のない画像",
    "noise+": "ノイズが多い", "noise-": "ノイズが少ない",
    "aspect+": "横長の画像", "aspect-": "縦長の画像",
    "resolution+": "画素数の多い画像", "resolution-": "画素数の少ない画像",
    "headline": "「{label}」：{what}",
    "associated": "{n} 枚にあり、そのうち {inside} 枚が「{label}」です。",
    "makes": "ほかのクラスの画像に加えると、「{label}」と答える割合が {before} から {after} になります。",
    "put_on": "ほかのクラスの {n} 枚に加えると、「{label}」と答える割合が {before} から {after} になります："
    "{effect} ポイント（95 % 信頼区間 {low} ～ {high}）。",
    "put_on_idle": "ほかのクラスの {n} 枚に加えると、「{label}」と答える割合は {before} から {after} です。意味のある効果はありません。",
    "control_patch": "同じ場所に別の画像の一部を置いた場合は {control} です。",
    "control_property": "逆の向きに変えた場合は {control} です。",
    "taken_off": "「{label}」の {n} 枚から取り除くと、「{label}」と答える割合は {kept} から {undone} になります。",
    "taken_off_same": "「{label}」の {n} 枚から取り除いても、「{label}」と答える割合は {kept} のままです。",
    "before": "前", "after": "後", "as_is": "元の例",
    "confusion": "何を何と間違えるか",
    "rows_true": "行は正しいクラス、列はモデルの答えです。クラスや間違いの数を押すと、その画像が見られます。",
    "rows_true_other": "行は正しいクラス、列はこのモデルの答えです。",
    "largest": "多い間違い", "taken_for": "→",
    "calibration": "自信の大きさは信じられるか",
    "calibration_text": "自信と正解率の差は平均 {error} ポイントです。点は同じくらいの自信で答えた画像のまとまりで、"
    "枚数が多いほど大きく描きます。破線の上では、自信と正解率が一致します。",
    "confidence": "自信",
    "mistakes": "自信を持って間違えた画像", "says": "モデルの答え",
    "class": "クラス", "mean_map": "このクラスでモデルが見ている場所（平均、黄色ほど強い）",
    "samples": "画像と、モデルが見た場所", "groups": "モデルが同じ特徴を使った画像",
    "group": "{n} 枚のグループ",
    "unreadable": "{n} 個のファイルを読めませんでした：",
    "method": "作り方と、分からないこと",
    "limits": "この監査は、決まった位置または同じ見た目で繰り返し現れる部分と、一覧にある画像全体の性質だけを探します。"
    "場面の中の物など、別の種類の近道は見逃すことがあります。「使っている」とは、"
    "画像を変えると答えが変わるという意味で、それが誤りかどうかは人が判断します。"
    "「使っている」「データにある」とされたもののうち、およそ 20 件に 1 件は偶然の可能性があります。",
    "maps_usual": "同じ計算で、層 {layer} の勾配 × 活性", "maps_chosen": "手法 {method}",
    "how": "各画像の予測と注目領域を求めます（{maps}）。"
    "クラスごとに各位置で共通の部分を探してほかのクラスと比べ、"
    "画像全体の性質はすべてのしきい値で調べます。候補はほかのクラスの画像に加え、"
    "元の画像から取り除いて確かめます。自分のクラスのためにモデルが使うものを含む画像は、"
    "ほかの画像が十分にあれば除きます。p 値は超幾何分布（探索の補正つき）と、"
    "対照に対する符号反転の並べ替え検定によります。"
    "全候補に Benjamini–Hochberg 法（5 %）を使います。",
    "candidates": "調べた候補の数", "model": "モデル", "folder": "フォルダー", "weights": "モデルと画像の識別子",
    "not_proven": "証明されていない",
    "versus_text": "{b} が間違えた画像のうち {n} 枚で {a} が正しく、その逆は {m} 枚です。"
    "実力が同じでもこれだけ差がつく確率は p {p} です。",
    "points": "{effect} ポイント",
    "suspect": "疑い", "only_right": "{who} だけが正解した画像（{n} 枚）",
    "behind": "間違いの内訳", "maps_by": "画像と手法：各手法が「{label}」の根拠とみなす場所",
    "image": "画像",
    "background_text": "根拠の {evidence} が背景とみられる部分にあります（背景は画像の {area}）。",
    "glance": "要点", "details": "詳しく", "hardest": "正解の少ないクラス",
    "versions": "バージョン", "versus": "もう一つのモデル", "share": "割合", "nobody": "なし",
    "top_left": "左上", "top_middle": "上", "top_right": "右上", "left": "左",
    "center": "中央", "right": "右", "bottom_left": "左下", "bottom_middle": "下",
    "bottom_right": "右下", "around": "縁", "everywhere": "全体",
}  # fmt: skip

LANGUAGES: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "ja": JAPANESE}
