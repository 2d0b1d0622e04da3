"""What the page with every head says, in English and Japanese."""

from __future__ import annotations

WORDS: dict[str, dict[str, str]] = {
    "en": {
        "title": "attention",
        "about": (
            "{model}: {layers} layers, {heads} heads, {grids} places. "
            "Every map is drawn from 0 to its own largest value."
        ),
        "image": "the image",
        "map": "Attention over the image. Arrow keys ask from another place.",
        "layer": "Layer",
        "head": "Head",
        "alpha": "Strength of the colors",
        "mean": "mean of all heads",
        "rollout": "rollout up to here",
        "class": "Seen from the class token. Largest fraction of one place: {top} %.",
        "mean_of": "Seen from the mean of all places. Largest fraction of one place: {top} %.",
        "places": "What each place receives from the places of its window, 1 on average. Largest: {sum}.",
        "place": "Seen from the place in row {row}, column {column}. Largest fraction of one place: {top} %.",
        "click": "Click on the image, or use the arrow keys on it, to ask from another place.",
        "back_class": "Read from the class token again",
        "back_mean": "Read from the mean of all places again",
        "back_places": "Show what each place receives again",
    },
    "ja": {
        "title": "注意",
        "about": "{model}: {layers} 層、{heads} ヘッド、{grids} か所。各マップの色は 0 からその最大値までです。",
        "image": "画像",
        "map": "画像に重ねた注意。矢印キーで別の場所から見ます。",
        "layer": "層",
        "head": "ヘッド",
        "alpha": "色の強さ",
        "mean": "全ヘッドの平均",
        "rollout": "ここまでの rollout",
        "class": "クラストークンから見た注意。1 か所の最大の割合: {top} %。",
        "mean_of": "全か所の平均から見た注意。1 か所の最大の割合: {top} %。",
        "places": "各場所が同じ窓の場所から受ける注意（平均は 1）。最大: {sum}。",
        "place": "{row} 行 {column} 列の場所から見た注意。1 か所の最大の割合: {top} %。",
        "click": "画像をクリックするか、画像の上で矢印キーを使うと、別の場所から見た注意を表示します。",
        "back_class": "クラストークンに戻る",
        "back_mean": "全か所の平均に戻る",
        "back_places": "各場所が受ける注意に戻る",
    },
}
