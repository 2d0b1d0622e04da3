"""What the report says, in English and in Japanese."""

from __future__ import annotations

from ..errors import unknown

TEXTS: dict[str, dict[str, str]] = {
    "en": {
        "title": "Can these explanations be trusted?",
        "model": "Model",
        "images": "images",
        "intro": (
            "Each method was asked where the network looks, and its maps were put to the test. Figures are means over "
            "the images; in brackets the 95 % interval, which says how far the mean might move with other images "
            "of the same kind. Arrows show which direction is better."
        ),
        "figures": "Figures",
        "floor": "floor",
        "control_maps": (
            "Floors are maps that know nothing about the network: noise, the middle of the image, the same value "
            "everywhere, edges. A method that is not clearly better than its floors has shown nothing."
        ),
        "best": "Bold: the best of the methods.",
        "against": "Compared with {}",
        "better": "better",
        "worse": "worse",
        "different": "different",
        "no clear difference": "no clear difference",
        "difference": "difference",
        "method": "method",
        "metric": "metric",
        "verdict": "verdict",
        "curves": "Curves",
        "removed": "fraction of pixels removed or brought back",
        "examples": "Examples",
        "examples_by": "best, middle and worst image of each method by",
        "best_case": "best",
        "median_case": "middle",
        "worst_case": "worst",
        "agreement": "How alike the maps are",
        "agreement_words": (
            "Spearman's rank correlation (ρ) and structural similarity (SSIM) of the maps, averaged over the images; "
            "1 means alike."
        ),
        "metrics_words": "What the metrics mean",
        "failures": "Images that could not be used",
        "caution": "Caution – {}: {}.",
        "few": "With fewer than 6 images no difference can be called clear, however large it is.",
        "higher": "higher is better",
        "lower": "lower is better",
        "neither": "neither is better",
    },
    "ja": {
        "title": "この説明は信頼できるか",
        "model": "モデル",
        "images": "枚の画像",
        "intro": (
            "各手法にネットワークがどこを見ているかを尋ね、得られたヒートマップを検証しました。数値は画像全体の平均です。"
            "角括弧内は95%信頼区間で、同じ種類の別の画像を使った場合に平均がどの程度動きうるかを示します。"
            "矢印は良い方向を表します。"
        ),
        "figures": "数値",
        "floor": "基準",
        "control_maps": (
            "「基準」はネットワークを何も知らないヒートマップです（乱数、画像の中央、一様な値、輪郭）。"
            "基準を明らかに上回らない手法は、何も示したことになりません。"
        ),
        "best": "太字は手法の中で最良の値です。",
        "against": "{} との比較",
        "better": "優れる",
        "worse": "劣る",
        "different": "異なる",
        "no clear difference": "明らかな差なし",
        "difference": "差",
        "method": "手法",
        "metric": "指標",
        "verdict": "判定",
        "curves": "曲線",
        "removed": "取り除いた、または戻した画素の割合",
        "examples": "例",
        "examples_by": "次の指標による各手法の最良・中央・最悪の画像：",
        "best_case": "最良",
        "median_case": "中央",
        "worst_case": "最悪",
        "agreement": "ヒートマップどうしの一致",
        "agreement_words": "ヒートマップのスピアマン順位相関（ρ）と構造的類似度（SSIM）の平均。1は同じであることを意味します。",
        "metrics_words": "指標の意味",
        "failures": "使えなかった画像",
        "caution": "注意 – {}: {}。",
        "few": "画像が6枚未満では、差がどれほど大きくても「明らか」とは判定できません。",
        "higher": "高いほど良い",
        "lower": "低いほど良い",
        "neither": "良し悪しなし",
    },
}

METRIC_WORDS_JA = {
    "deletion": "重要とされた画素から順に消したときの、クラス確率の曲線の下の面積。",
    "insertion": "ぼかした画像に重要とされた画素から順に戻したときの、クラス確率の曲線の下の面積。",
    "insertion_deletion": "挿入から削除を引いた値。ヒートマップの順序を一つの数で表す。",
    "average_drop": "ヒートマップを通して見たときに失われる確率の割合。",
    "increase": "ヒートマップを通して見たときに確率が上がる画像の割合。",
    "average_gain": "ヒートマップを通して見たときに得られる確率の、残りの不確かさに対する割合。",
    "drop_in_deletion": "ヒートマップが示す部分を取り除いたときに失われる確率の割合。",
    "coherency": "ヒートマップと、ヒートマップを通して見た画像のヒートマップとの類似度。",
    "complexity": "ヒートマップが残す画像の割合。",
    "adcc": "整合性・簡潔さ・保たれた確率の調和平均。",
    "road": "隣の画素から補間して消す方法で、重要でない順と重要な順の差の半分。",
    "road_morf": "重要な画素から補間して消した後に残る確率。",
    "road_lerf": "重要でない画素から補間して消した後に残る確率。",
    "infidelity": "正方形を消したときのスコアの変化をヒートマップが予測する二乗誤差。",
    "mufidelity": "画素の部分集合の重要さと、それを消したときの変化の順位相関。",
    "max_sensitivity": "画像に小さな雑音を加えたときのヒートマップの最大の相対変化。",
    "sparseness": "ヒートマップの集中度（ジニ係数）。",
    "entropy": "ヒートマップの広がり（エントロピー）。",
    "pointing_game": "ヒートマップの最高点が物体の上、またはその近くにあるか。",
    "energy_pointing_game": "ヒートマップの正の部分のうち物体の上にある割合。",
    "grid_game": "4枚の画像の組み合わせで、正しい画像の上にあるヒートマップの割合。",
    "weight_randomization": "重みを出力側から順に並べ替えたネットワークのヒートマップとの類似度。0に近いほど重みに依存している。",
    "input_independence": "中身のない画像のヒートマップとの類似度。1に近いほど画像を見ていない。",
}

CAUTIONS_JA = {
    "hardly changes when the weights are shuffled (docs/trust.md)": (
        "重みをシャッフルしてもほとんど変わりません（docs/trust.md）"
    ),
    "stays more than half alike when all weights are shuffled (docs/trust.md)": (
        "重みをすべてシャッフルしても半分以上似たままです（docs/trust.md）"
    ),
}


def texts(lang: str) -> dict[str, str]:
    """Return the report's words in a language, "en" or "ja"."""
    if lang not in TEXTS:
        raise unknown("language", lang, TEXTS)
    return TEXTS[lang]
