// How much the pictures of pairs differ, as restoration and translation are judged.
// `x` and `y` are [N, C, H, W] of equal shape, of any dtype and device, computed in float64 on the host. The
// result is float64 [N], one value a pair; the mean over pairs is the caller's. `range` is the distance of
// the largest possible value from the smallest: 255 for bytes, 2 for [-1, 1]. Exit::usage for other shapes,
// pictures smaller than a window, or a range that is not positive. NaN where a value is NaN.
#pragma once

#include "dist/tensor.h"

namespace saddle {

// mean |x - y|, in the pictures' own units.
torch::Tensor l1(const torch::Tensor& x, const torch::Tensor& y);

// 10 log10(range^2 / mean (x - y)^2) in dB, the mean over all channels; infinity for equal pictures.
torch::Tensor psnr(const torch::Tensor& x, const torch::Tensor& y, double range);

// Windows by which SSIM takes its local means, and whether its local covariances are those of a sample
// (divided by n - 1) or of a population (by n, n = the pixels of a window). Only windows that lie wholly
// inside the picture count.
enum class SsimWindow {
  uniform,         // 7 x 7, sample: scikit-image as it is called without options
  gaussian,        // 11 x 11 of sigma 1.5, population: Wang 2004, pytorch-msssim
  gaussian_sample  // the same, sample: scikit-image with gaussian_weights alone
};

// Structural similarity (Wang 2004) with K1 = 0.01 and K2 = 0.03: the mean over windows and channels.
torch::Tensor ssim(const torch::Tensor& x, const torch::Tensor& y, double range,
                   SsimWindow window = SsimWindow::gaussian);

// At five scales (Wang 2003), window `gaussian`: product over scales of (mean contrast term)^w, at the
// coarsest of (mean SSIM)^w, each mean no less than 0; then the mean over channels. w = .0448 .2856 .3001
// .2363 .1333. The next scale is the mean over 2 x 2 pixels; a side of odd length first gets a zero on both
// ends (pytorch-msssim). Sides must exceed 160.
torch::Tensor ms_ssim(const torch::Tensor& x, const torch::Tensor& y, double range);

}  // namespace saddle
