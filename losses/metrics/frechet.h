// The Frechet distance of two sets of features, each taken for a Gaussian (Dowson and Landau 1982; Heusel
// 2017). Call it FID only where the features are those of the Inception network.
#pragma once

#include "dist/tensor.h"

#include <cstdint>
#include <vector>

namespace saddle {

// The Gaussian of a set of features [N, D], gathered piece by piece and mergeable: ranks, or parts of a data
// set, keep one each. In float64 on the host; of 2 D + 1,024 rows at most, however many samples. In which
// pieces and order samples came, and how they were merged, does not matter to 1e-9 of the result.
class Gaussian {
 public:
  explicit Gaussian(int64_t dims);  // D >= 1, of no samples

  // Features [N, D] of any dtype and device, N >= 0. Exit::usage for another shape.
  void add(const torch::Tensor& features);
  // All samples of `other`, of the same D, else Exit::usage.
  void merge(const Gaussian& other);

  int64_t dims() const { return all_.mean.size(0); }
  int64_t count() const { return all_.count + waiting_rows_ + strays_; }  // of all samples
  bool finite() const { return strays_ == 0; }  // false once a sample was not: its moments do not exist

  // Of the finite samples. root^T root is the scatter, the sum of (x - mean)(x - mean)^T: a scatter that was
  // formed and rooted again would lose half the digits, and all of them where it is singular.
  struct Moments {
    int64_t count;
    torch::Tensor mean;  // [D]
    torch::Tensor root;  // [R, D], R <= D
  };
  Moments moments() const;

  // For ranks to gather: of shapes and dtypes that follow from D alone.
  //   int64 [2]         samples that are finite, and that are not
  //   float64 [D]       mean
  //   float64 [D, D]    root, with rows of zeros below
  std::vector<torch::Tensor> tensors() const;
  static Gaussian from(const std::vector<torch::Tensor>& tensors);  // Exit::usage for other shapes

 private:
  Moments all_;
  int64_t strays_ = 0;  // samples that are not finite
  // Finite rows that are not in `all_` yet: they are taken in many at a time, so that small pieces are cheap.
  std::vector<torch::Tensor> waiting_;
  int64_t waiting_rows_ = 0;
};

// ||m1 - m2||^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2) with unbiased covariances (hence two samples a side,
// else Exit::usage); singular covariances are fine. Biased upwards at small N: use N >= 10 D and compare only
// at equal N. NaN if a feature is not finite: a diverged generator is a result, not an error.
double frechet_distance(const Gaussian& a, const Gaussian& b);
// Of features `a` [N, D] and `b` [M, D].
double frechet_distance(const torch::Tensor& a, const torch::Tensor& b);

// The distance at infinitely many samples (Chong and Forsyth 2020): distances of `real` to random subsets of
// `fake` [N, D], at 15 sizes evenly from min(5000, N / 2) to N, each subset drawn anew without replacement;
// the intercept of the line through them over 1 / size (least squares). Can be negative, and is left so. Four
// fakes at least, else Exit::usage. Costs less than 15 distances of all samples.
double frechet_infinity(const Gaussian& real, const torch::Tensor& fake, uint64_t seed);

}  // namespace saddle
