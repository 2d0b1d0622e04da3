"""Methods as the page offers them: in the visitor's language, with what a reader of the map must know."""

from __future__ import annotations

from collections.abc import Iterable

from ..evaluation.words import CAUTIONS_JA
from ..registry import METHODS
from .words import say

JAPANESE = {
    "gradient": "各画素の値に対するスコアの勾配。",
    "input_x_gradient": "勾配 × 画素値。各画素がスコアに占める一次の寄与。",
    "guided_backprop": "すべての ReLU が、活性のあった場所で正の値だけを逆伝播させる勾配。",
    "deconvnet": "すべての ReLU が、正の値だけを逆伝播させる勾配（活性の有無は問わない）。",
    "guided_grad_cam": "Grad-CAM が根拠とする場所の Guided Backprop。",
    "smooth_grad": "ノイズを加えた画像での勾配の平均。",
    "integrated_gradients": "基準画像から元の画像までの勾配の平均 × 差。スコアの差の内訳。",
    "cam": "CAM: 最終層の重みによるチャンネルの加重和。平均プーリングと線形層で終わるネットワーク用。",
    "grad_cam": "Grad-CAM: 平均勾配を重みとするチャンネルの和の正の部分。",
    "xgrad_cam": "XGrad-CAM: 活性のある場所の勾配を重みとするチャンネルの和。",
    "hires_cam": "HiResCAM: 場所ごとの勾配 × 活性の正の部分。",
    "layer_cam": "LayerCAM: 場所ごとの正の勾配 × 活性。浅い層にも適する。",
    "grad_cam_pp": "Grad-CAM++: 物体が複数あっても等しく数えるよう、正の勾配に重みを付ける。",
    "smooth_grad_cam_pp": "Grad-CAM++ の勾配の 3 つの累乗を、ノイズを加えた画像で平均する。",
    "eigen_cam": "Eigen-CAM: 活性の主方向。どのクラスでも同じマップになる。",
    "eigen_grad_cam": "Eigen-Grad-CAM: 勾配 × 活性の主方向。",
    "ablation_cam": "Ablation-CAM: チャンネルを除いたときに失われるスコアを重みとする。",
    "recipro_cam": "ReciproCAM: 層の各場所だけを残したときのスコア。勾配を使わない。",
    "score_cam": "Score-CAM: チャンネルを通して見た画像に対する答えを重みとする。",
    "full_grad": "FullGrad: 入力 × 勾配と、各層のバイアス × 勾配の和。",
    "occlusion": "Occlusion: 四角で隠したときに失われるスコア。",
    "rise": "RISE: ランダムなマスクのうち、その場所が見えるものの平均スコア。",
    "lime": "LIME: スーパーピクセルの有無による重み付き線形モデル。",
    "kernel_shap": "Kernel SHAP: 重み付き最小二乗によるスーパーピクセルの Shapley 値。",
    "attention_rollout": "Attention rollout: 各場所が全層を通してクラストークンに届く量。",
    "chefer": "勾配で重み付けした rollout: クラスが依存する注意に沿って流れる関連度。",
    "legrad": "LeGrad: 各場所への注意に対する各層の答えの感度（全層）。",
    "attention_x_gradient": "注意 × 勾配。その場所を見ることがスコアに占める一次の寄与。",
}
"""First sentence of each method in Japanese; a method that is not here is described in English."""


def about(method: str, lang: str) -> str:
    """Return in a sentence what a method shows."""
    spoken = JAPANESE.get(method, "") if lang == "ja" else ""
    return spoken or METHODS[method].summary


def caution(method: str, lang: str) -> str:
    """Return what a reader of the method's maps must know; empty if nothing."""
    words = METHODS[method].caution
    words = CAUTIONS_JA.get(words, words) if lang == "ja" else words
    return say("caution", lang).format(method=method, words=words) if words else ""


def cautions(methods: Iterable[str], lang: str) -> str:
    """Return the same for several methods; empty if there is nothing to know of any."""
    return " ".join(words for words in (caution(m, lang) for m in methods) if words)


def offered(names: Iterable[str], lang: str) -> list[tuple[str, str]]:
    """Return methods as `(text, name)` to choose from; one that needs caution says so before it is chosen."""
    mark = say("with_caution", lang)
    return [(mark.format(method=name) if METHODS[name].caution else name, name) for name in names]
