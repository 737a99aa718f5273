// The Frechet distance of two sets of features, each taken for a Gaussian (Dowson and Landau 1982; Heusel
// 2017). Call it FID only where the features are those of the Inception network.
#pragma once

#include "dist/tensor.h"

namespace saddle {

// ||m1 - m2||^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2) of `a` [N, D] and `b` [M, D], with unbiased
// covariances (hence N, M >= 2, else Exit::usage), in double precision on the host; singular covariances are
// fine. Biased upwards at small N: use N >= 10 D and compare only at equal N. NaN if a feature is not finite:
// a diverged generator is a result, not an error.
double frechet_distance(const torch::Tensor& a, const torch::Tensor& b);

}  // namespace saddle
