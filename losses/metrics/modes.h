// Mode coverage: how many components of a Gaussian mixture with known centres a generator reaches, and how
// evenly. The rules are those of VEEGAN (Srivastava 2017) and PacGAN (Lin 2018), so that figures compare with
// theirs.
#pragma once

#include "dist/tensor.h"

#include <cstdint>
#include <vector>

namespace saddle {

// A sample belongs to its nearest centre, and is good if it lies within a radius of it:
//   D <= 2  radius 3 sigma (PacGAN's rule); a mode is covered by one good sample. In 2-D a perfect generator
//           scores 1 - exp(-4.5) = 98.9 %.
//   D > 2   radius a quarter of the smallest distance of two centres (3 sigma holds no mass in many dimensions);
//           a mode is covered by 10 % of its fair share of all samples, N / K.
struct ModeCoverage {
  int64_t modes;        // covered modes
  int64_t total;        // K
  int64_t solid_modes;  // modes with at least 20 good samples of every 2,500 drawn: one stray is no mode
  double high_quality;  // good samples / N, in [0, 1]
  double reverse_kl;    // see mode_coverage
  std::vector<int64_t> counts;  // [K] good samples of each mode
};

// `samples` [N, D], `centers` [K, D], components N(center, sigma^2 I) of equal weight; any dtype and device,
// computed in float64 on the host. Exit::usage for empty or mismatched shapes. A NaN sample is not good.
// reverse_kl is KL(q || uniform) = log K - H(q) in nats, q the histogram of the *good* samples, as PacGAN's
// released code counts them; log K, its largest value, if no sample is good.
ModeCoverage mode_coverage(const torch::Tensor& samples, const torch::Tensor& centers, double sigma);

// The same of samples that come in parts: counts of parts add up.
torch::Tensor mode_counts(const torch::Tensor& samples, const torch::Tensor& centers,
                          double sigma);  // int64 [K] good samples of each mode
ModeCoverage mode_coverage(const torch::Tensor& counts, int64_t samples, int64_t dimensions);

}  // namespace saddle
