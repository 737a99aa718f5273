// Blocks that look beyond their own weights and sample: each against its definition, and on N ranks against
// one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ATen/ops/linalg_svdvals.h>

#include "dist/error.h"
#include "models/blocks/layers.h"
#include "models/blocks/minibatch.h"
#include "models/blocks/virtual_batch_norm.h"
#include "models/nets/nets.h"
#include "tests/losses/gradient_check.h"
#include "tests/models/over_ranks.h"

namespace saddle {
namespace {

using test::expect_near;
using torch::Tensor;

// A block behind a convolution, so that its input has a graph.
template <class M>
class Behind final : public Module {
 public:
  template <class... Args>
  explicit Behind(Maker& make, Args... args) {
    convolution = child("convolution", std::make_shared<Conv2d>(make, 2, 3, Kernel{.size = 3, .stride = 1}));
    block = child("block", std::make_shared<M>(make, args...));
  }
  Tensor features(const Tensor& x) const { return torch::tanh(convolution->forward(x)); }
  std::shared_ptr<Conv2d> convolution;
  std::shared_ptr<M> block;
};

Tensor draw(Range rows, at::IntArrayRef shape, const char* name = "x") {
  return normal({2, name}, rows, shape, torch::kDouble);
}

// ---- virtual batch norm ----

class VirtualNet final : public Module {
 public:
  explicit VirtualNet(Maker& make) {
    reference = child("reference", std::make_shared<ReferenceBatch>(make, std::vector<int64_t>{6, 2, 4, 4}));
    net = child("net", std::make_shared<Behind<VirtualBatchNorm>>(make, 3, 0.1));
    deeper = child("deeper", std::make_shared<VirtualBatchNorm>(make, 3, 0.1));
  }
  Tensor forward(const Tensor& x) const {
    const auto pair = net->block->forward(net->features(reference->slice()), net->features(x));
    return deeper->forward(torch::tanh(pair.reference), torch::tanh(pair.x)).x;
  }
  std::shared_ptr<ReferenceBatch> reference;
  std::shared_ptr<Behind<VirtualBatchNorm>> net;
  std::shared_ptr<VirtualBatchNorm> deeper;
};

test::Block virtual_net(Maker& make) {
  const auto net = std::make_shared<VirtualNet>(make);
  return {net, [=](const Tensor& x) { return net->forward(x); }};
}

TEST(VirtualBatchNorm, RanksComputeWhatOneRankComputes) {
  const int ranks = test::world().size();
  for (const auto& rows : {test::even(ranks), test::uneven(ranks)})
    test::expect_like_one_rank(virtual_net, rows, {2, 4, 4});
}

// The equations of section 3.5 as the authors' code has them, with means of squares.
TEST(VirtualBatchNorm, IsNormalisationByTheReferenceAndTheExample) {
  const Comm comm = test::world().comm("cpu");
  for (const auto& shape : {std::vector<int64_t>{3}, {3, 4, 5}}) {
    Maker make(comm, 1);
    VirtualBatchNorm norm(make, 3, 0.1);
    norm.to(torch::kCPU, torch::kDouble);
    const int64_t n = 2 * comm.size();
    const Tensor all = draw({0, n}, shape, "reference") * 2 + 1, x = draw({0, 4}, shape) - 1;
    const auto [reference, y] = norm.forward(all.narrow(0, 2 * comm.rank(), 2), x);
    const auto by_channel = [&](const Tensor& c) { return c.view({-1, 3, 1}); };
    const Tensor rows = all.reshape({n, 3, -1}), own = x.reshape({4, 3, -1});
    const Tensor mean = rows.mean(at::IntArrayRef{0, 2}), square = rows.square().mean(at::IntArrayRef{0, 2});
    const auto expected = [&](const Tensor& z, const Tensor& m, const Tensor& sq) {
      const Tensor std = (sq - m.square() + 1e-5).sqrt();
      return (z - by_channel(m)) / by_channel(std) * by_channel(norm.weight) + by_channel(norm.bias);
    };
    expect_near(reference.reshape({2, 3, -1}), expected(rows.narrow(0, 2 * comm.rank(), 2), mean, square),
                1e-12);
    const double fresh = 1.0 / (static_cast<double>(n) + 1);
    expect_near(y.reshape({4, 3, -1}),
                expected(own, fresh * own.mean(2) + (1 - fresh) * mean,
                         fresh * own.square().mean(2) + (1 - fresh) * square),
                1e-12);
  }
}

TEST(VirtualBatchNorm, AnExampleDoesNotDependOnTheOthers) {
  Maker make(test::world().comm("cpu"), 1);
  const test::Block net = virtual_net(make);
  const Tensor x = draw({0, 4}, {2, 4, 4}).to(torch::kFloat);
  expect_near(net.forward(x).narrow(0, 1, 1), net.forward(x.narrow(0, 1, 1)), 1e-6);
}

TEST(VirtualBatchNorm, EvaluationIsTheSameWithoutTheOtherRanks) {
  const Comm comm = test::world().comm("cpu");
  Maker make(comm, 1);
  VirtualNet net(make);
  const Tensor x = draw({0, 2}, {2, 4, 4}).to(torch::kFloat);
  const Tensor training = net.forward(x);
  net.train(false);
  if (comm.rank() == 0) expect_near(net.forward(x), training, 1e-6);  // would wait for the others for ever
}

TEST(ReferenceBatch, IsWhatTheRanksChoseTogether) {
  const Comm comm = test::world().comm("cpu");
  Maker make(comm, 1);
  ReferenceBatch reference(make, {5, 2});
  const Tensor before = reference.rows.clone();
  const std::vector<int64_t> counts = comm.size() == 1   ? std::vector<int64_t>{5}
                                      : comm.size() == 2 ? std::vector<int64_t>{0, 5}
                                                         : std::vector<int64_t>{2, 0, 1, 2};
  const Tensor all = torch::arange(10, torch::kFloat).view({5, 2});
  const int64_t count = counts[comm.rank()];
  EXPECT_THROW(reference.choose(torch::zeros({7, 2})), Error);
  EXPECT_TRUE(torch::equal(reference.rows, before));
  reference.choose(all.narrow(0, first_row(counts, comm), count));
  EXPECT_TRUE(torch::equal(reference.rows, all));
  EXPECT_TRUE(torch::equal(rows_of_all_ranks(reference.slice(), comm), all))
      << "the slices are not the whole";
  ASSERT_EQ(reference.buffers().size(), 1U) << "a checkpoint would lose it";
}

// ---- spectral norm ----

test::Block spectral_convolution(Maker& make) {
  const auto layer =
      std::make_shared<Conv2d>(make, 2, 3, Kernel{.size = 3, .stride = 1}, LayerOptions{.spectral = true});
  return {layer, [=](const Tensor& x) { return torch::tanh(layer->forward(x)); }};
}

TEST(SpectralNorm, RanksComputeWhatOneRankComputes) {
  test::expect_like_one_rank(spectral_convolution, test::uneven(test::world().size()), {2, 4, 4});
}

TEST(SpectralNorm, ConvergesToALargestSingularValueOfOne) {
  Maker make(World::alone(), 1);
  for (const auto& [shape, dim] : std::vector<std::pair<std::vector<int64_t>, int64_t>>{
           {{5, 7}, 0}, {{4, 3, 2, 2}, 0}, {{3, 4, 2, 2}, 1}, {{1, 6}, 0}, {{6, 1}, 0}}) {
    const Tensor weight = make.normal(shape, 0, 2);
    SpectralNorm norm(make, weight.size(dim), dim);
    for (int i = 0; i < 200; ++i) norm.forward(weight);
    const Tensor values = at::linalg_svdvals(norm.forward(weight).transpose(0, dim).flatten(1));
    EXPECT_NEAR(values.max().item<double>(), 1, 1e-4) << c10::str(shape);
  }
}

// Algorithm 1: from u to v, to a new u, and sigma between them.
TEST(SpectralNorm, TrainingDoesOneIterationAndEvaluationNone) {
  Maker make(World::alone(), 1);
  SpectralNorm norm(make, 4);
  const Tensor w = make.normal({4, 6}, 0, 1), u = norm.u.clone();
  const auto unit = [](const Tensor& x) { return x / x.norm(); };
  const Tensor v = unit(w.t().mv(u)), next = unit(w.mv(v));
  expect_near(norm.forward(w), w / next.dot(w.mv(v)), 1e-6);
  expect_near(norm.u, next, 1e-6);
  EXPECT_GT((next - u).abs().max().item<double>(), 1e-3);
  norm.train(false);
  norm.forward(w);
  expect_near(norm.u, next, 1e-6);
}

TEST(SpectralNorm, TheGradientKnowsThatSigmaDependsOnTheWeight) {
  Maker make(World::alone(), 1);
  const Tensor weight = make.normal({3, 4}, 0, 1).to(torch::kDouble).set_requires_grad(true);
  SpectralNorm norm(make, 3);
  norm.to(torch::kCPU, torch::kDouble);
  norm.train(false);  // with u held, sigma is |W' u|: v follows the weight, to no effect of first order
  test::expect_gradient([&] { return norm.forward(weight).pow(3).sum(); }, weight);
}

TEST(SpectralNorm, AStepInBetweenDoesNotDisturbAGraph) {
  Maker make(World::alone(), 1);
  Linear layer(make, 4, 3, {.spectral = true});
  const Tensor x = torch::ones({2, 4});
  for (const bool training : {true, false}) {
    layer.train(training);
    const Tensor first = layer.forward(x).square().sum();
    layer.train(true);
    layer.forward(x);
    EXPECT_NO_THROW(first.backward());
  }
}

TEST(SpectralNorm, KeepsOnlyStateThatMoves) {
  Maker make(World::alone(), 1);
  EXPECT_EQ(SpectralNorm(make, 2).buffers().size(), 1U);
  EXPECT_EQ(SpectralNorm(make, 1).buffers().size(), 0U) << "u of one row is 1 for ever";
}

// ---- minibatch features ----

template <class M, class... Args>
test::Build behind(Args... args) {
  return [=](Maker& make) -> test::Block {
    const auto net = std::make_shared<Behind<M>>(make, args...);
    return {net, [=](const Tensor& x) { return net->block->forward(net->features(x)); }};
  };
}

// [B, 2, 4, 4] -> [B, 48], for discrimination.
class Flattened final : public Module {
 public:
  Flattened(Maker& make, int64_t group) {
    block_ = child("block", std::make_shared<MinibatchDiscrimination>(make, 48, 4, 3, group));
  }
  Tensor forward(const Tensor& x) const { return block_->forward(x.flatten(1) * 0.3); }

 private:
  std::shared_ptr<MinibatchDiscrimination> block_;
};

class Minibatch : public testing::TestWithParam<int64_t> {};

TEST_P(Minibatch, StdOnRanksIsThatOfOneRank) {
  test::expect_like_one_rank(behind<MinibatchStd>(GetParam()), test::even(test::world().size()), {2, 4, 4});
}

TEST_P(Minibatch, DiscriminationOnRanksIsThatOfOneRank) {
  test::expect_like_one_rank(behind<Flattened>(GetParam()), test::even(test::world().size()), {2, 4, 4});
}

INSTANTIATE_TEST_SUITE_P(Groups, Minibatch, testing::Values(0, 2, 4, 8));

TEST(Minibatch, RanksMayHaveDifferentCounts) {
  using Counts = std::vector<int64_t>;
  const int ranks = test::world().size();
  // Some ranks have whole groups and some have not, some have none.
  const auto splits = ranks == 1   ? std::vector<Counts>{{8}}
                      : ranks == 2 ? std::vector<Counts>{{3, 5}, {8, 0}, {6, 2}}
                                   : std::vector<Counts>{{1, 3, 3, 1}, {4, 1, 3, 0}, {0, 4, 0, 4}};
  for (const Counts& split : splits)
    for (const int64_t group : {0, 2, 4}) {
      test::expect_like_one_rank(behind<MinibatchStd>(group), split, {2, 4, 4});
      test::expect_like_one_rank(behind<Flattened>(group), split, {2, 4, 4});
    }
}

TEST(Minibatch, GroupsThatDoNotDivideTheBatchAreRefused) {
  Maker make(test::world().comm("cpu"), 1);
  try {
    MinibatchStd(make, 64).forward(torch::zeros({3, 1, 2, 2}));
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("groups of 64"));
  }
}

TEST(MinibatchStd, IsTheMeanStandardDeviationOfTheGroup) {
  Maker make(World::alone(), 1);
  const Tensor x = draw({0, 6}, {2, 3, 3});
  const Tensor y = MinibatchStd(make, 3).forward(x);
  ASSERT_EQ(y.sizes(), (std::vector<int64_t>{6, 3, 3, 3}));
  EXPECT_TRUE(torch::equal(y.narrow(1, 0, 2), x));
  for (int64_t i = 0; i < 6; ++i) {
    const double expected =
        x.narrow(0, i / 3 * 3, 3).std(at::IntArrayRef{0}, /*unbiased=*/false).mean().item<double>();
    expect_near(y[i][2], torch::full({3, 3}, expected, torch::kDouble), 1e-7);
  }
}

TEST(MinibatchDiscrimination, CountsTheSamplesThatAreAlike) {
  Maker make(World::alone(), 1);
  MinibatchDiscrimination block(make, 2, 3, 2);
  const Tensor x = torch::zeros({4, 2});
  x[3].fill_(1e4);  // far from the three
  const Tensor o = block.forward(x).narrow(1, 2, 3);
  expect_near(o, torch::tensor({3.0F, 3.0F, 3.0F, 1.0F}).unsqueeze(1).expand({4, 3}), 1e-5);
}

// ---- in the convolutional discriminator ----

test::Build discriminator(const NetOptions& options) {
  return [=](Maker& make) -> test::Block {
    const NetShape shape{
        .field = {
            .name = "image", .shape = {1, 16, 16}, .dtype = torch::kByte, .classes = 0, .class_names = {}}};
    const auto net = conv_discriminator(make, shape, options);
    return {net, [=](const Tensor& x) { return net->forward({x}).x; }};
  };
}

TEST(ConvDiscriminator, WithSpectralNormAndMinibatchStdIsThatOfOneRank) {
  test::expect_like_one_rank(discriminator({.width = 4, .norm = "spectral", .minibatch_std = 4}),
                             test::even(test::world().size()), {1, 16, 16});
}

TEST(ConvDiscriminator, WithBatchNormIsThatOfOneRank) {
  for (const auto& rows : {test::even(test::world().size()), test::uneven(test::world().size())})
    test::expect_like_one_rank(discriminator({.width = 4, .norm = "batch"}), rows, {1, 16, 16});
}

}  // namespace
}  // namespace saddle
