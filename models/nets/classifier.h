// Classifiers of images.
#pragma once

#include "models/module.h"

namespace saddle {

struct ClassifierShape {
  Field image;  // [C, H, W], 12 pixels or more
  int64_t classes = 10;
  int64_t width =
      128;  // channels of the first three convolutions; those behind have up to four times as many
  double noise = 0.15;   // standard deviation of what is added to the input while training
  double dropout = 0.5;  // share of the values set to zero behind each pooling, while training
};

// [B, C, H, W] -> scores [B, classes]; "features" [B, width] in Output::more. The net of Laine and Aila 2017,
// table 5: three convolutions, pooling and dropout, twice; then 3x3 and two 1x1, the mean over the pixels,
// one layer. LeakyReLU 0.1; batch norm where theirs has weight norm with mean-only batch norm. Noise and
// dropout come from Input::draw, each sample's from its place in the global batch.
std::shared_ptr<Network> consistency_classifier(Maker& make, const ClassifierShape& shape);

// [B, C, H, W] -> scores [B, classes]; "features" [B, 4 width] in Output::more. 3x3 convolutions of stride 2,
// the first of `width` channels, each behind it of twice as many up to 4 width, until 8x8 pixels or fewer
// are left, two at least; one layer of 4 width features, one of scores. ReLU.
std::shared_ptr<Network> plain_classifier(Maker& make, const Field& image, int64_t classes, int64_t width);

}  // namespace saddle
