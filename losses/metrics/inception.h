// Scores of a generator by what a classifier says of its samples: the Inception score (Salimans 2016) and the
// MODE score (Che 2017). Call the first IS only where the classifier is the Inception network, with its
// logits without bias.
// `logits` are [N, K]; their softmax is taken in float64 on the host. NaN if one is not finite.
#pragma once

#include "dist/tensor.h"
#include "losses/metrics/features.h"

#include <cstdint>

namespace saddle {

// exp of the mean KL(p(y|x) || p(y)) of each of `splits` chunks, of samples [i N / splits, (i + 1) N /
// splits) in the given order, p(y) the mean over the chunk; mean and deviation over chunks. From 1 to K. The
// order matters: published code shuffles first. Exit::usage for fewer samples than splits.
MeanStd inception_score(const torch::Tensor& logits, int64_t splits = 10);

// exp(E KL(p(y|x) || p*(y)) - KL(p(y) || p*(y))), p* = `real_share` [K] the shares of the classes in the
// data, all positive and of sum 1, else Exit::usage. p* cancels, so that the value is the Inception score of
// one split to rounding: the two terms differ between generators, the score does not see p*.
double mode_score(const torch::Tensor& logits, const torch::Tensor& real_share);

}  // namespace saddle
