// How well a segmentation agrees with its reference.
// Masks are [H, W] or [D, H, W] of any dtype and device, inside where they are not 0; both of one shape, else
// Exit::usage. `spacing` is the size of a cell along each dimension, in the order of the mask's; distances
// are in its unit, between the centres of border cells. A border cell is inside and has a face in common with
// a cell that is not; so has every cell at the end of the array.
// Of two empty masks the agreement is perfect; an empty one and another agree in nothing:
//   both empty   dice 1, iou 1, distances 0
//   one empty    dice 0, iou 0, distances infinity (MedPy refuses these, MONAI says NaN or infinity)
#pragma once

#include "dist/tensor.h"

#include <cstdint>

namespace saddle {

double dice(const torch::Tensor& mask, const torch::Tensor& reference);  // 2 |A and B| / (|A| + |B|)
double iou(const torch::Tensor& mask, const torch::Tensor& reference);   // |A and B| / |A or B|

// The percentile of the distances from each border cell to the nearest of the other mask: 95 is HD95, 100
// the Hausdorff distance. Percentiles are interpolated linearly. Libraries do not agree on what of:
enum class Hausdorff {
  medpy,  // of the distances in both directions together
  monai   // of each direction apart, the larger of the two
};
double hausdorff(const torch::Tensor& mask, const torch::Tensor& reference, at::ArrayRef<double> spacing,
                 Hausdorff convention, double percent = 95);

// The average symmetric surface distance: the mean of the distances in both directions together (MedPy's
// assd, MONAI's symmetric one).
double surface_distance(const torch::Tensor& mask, const torch::Tensor& reference,
                        at::ArrayRef<double> spacing);

// Connected parts of a mask, by common faces: 4 neighbours in the plane, 6 in space.
int64_t components(const torch::Tensor& mask);

}  // namespace saddle
