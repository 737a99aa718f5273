#include "models/nets/nets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/error.h"
#include "models/blocks/resampled.h"
#include "models/gan.h"

namespace saddle {
namespace {

Maker maker() {
  return Maker(World::alone(), 1);
}

NetShape image(int64_t c, int64_t h, int64_t w, int64_t classes = 0) {
  return {
      .field = {.name = "image", .shape = {c, h, w}, .dtype = torch::kByte, .classes = 0, .class_names = {}},
      .latent = 10,
      .classes = classes};
}

TEST(ConvNets, FitImagesOfAnyShapeThatHalves) {
  Maker make = maker();
  for (const auto& [c, h, w] :
       std::vector<std::array<int64_t, 3>>{{1, 28, 28}, {3, 32, 32}, {3, 64, 32}, {1, 16, 48}, {4, 20, 20}}) {
    const NetShape shape = image(c, h, w);
    const NetOptions options{.width = 8, .norm = "batch"};
    const torch::Tensor x = conv_generator(make, shape, options)->forward({torch::randn({2, 10})});
    EXPECT_EQ(x.sizes(), (std::vector<int64_t>{2, c, h, w}));
    EXPECT_LE(x.abs().max().item<float>(), 1.0F);
    EXPECT_EQ(conv_discriminator(make, shape, options)->forward({x}).x.sizes(), (std::vector<int64_t>{2, 1}));
  }
}

TEST(ConvNets, SayWhatToDoWithImagesThatDoNot) {
  Maker make = maker();
  for (const NetShape& shape : {image(1, 27, 27), image(1, 30, 30), image(1, 2, 2)}) try {
      conv_generator(make, shape, {});
      FAIL() << c10::str(shape.field.shape);
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), testing::HasSubstr("--size"));
    }
}

// Once a class, or once a sample where there are many classes.
TEST(ConvNets, MapsOfClassesAreConvolvedAsIfTheyStoodBesideTheImage) {
  for (const int64_t classes : {3, 100}) {
    Maker make = maker();
    Conv2d layer(make, 2 + 4, 5, Kernel{});
    layer.to(torch::kCPU, torch::kDouble);
    layer.weight.set_requires_grad(true);
    const torch::Tensor x = torch::randn({6, 2, 8, 10}, torch::kDouble),
                        y = torch::arange(6).remainder(classes);
    const torch::Tensor by_class = torch::randn({classes, 4}, torch::kDouble).requires_grad_();
    const torch::Tensor maps =
        by_class.index_select(0, y).unsqueeze(-1).unsqueeze(-1).expand({-1, -1, 8, 10});
    const auto gradients = [&](const torch::Tensor& out) {
      return torch::autograd::grad({out.square().sum()}, {layer.weight, by_class});
    };
    const torch::Tensor one = layer.forward(x, by_class, y), other = layer.forward(torch::cat({x, maps}, 1));
    EXPECT_LE((one - other).abs().max().item<double>(), 1e-12);
    const auto a = gradients(one), b = gradients(other);
    for (size_t i = 0; i < a.size(); ++i) EXPECT_LE((a[i] - b[i]).abs().max().item<double>(), 1e-10) << i;
  }
}

TEST(ConvNets, AConditionalNetDependsOnTheLabel) {
  Maker make = maker();
  const NetShape shape = image(1, 16, 16, 3);
  const auto g = conv_generator(make, shape, {.width = 8}), d = conv_discriminator(make, shape, {.width = 8});
  const torch::Tensor z = torch::randn({1, 10}), zero = torch::zeros({1}, torch::kLong),
                      two = torch::full({1}, 2, torch::kLong);
  EXPECT_FALSE(torch::equal(g->forward({z, zero}).x, g->forward({z, two}).x));
  const torch::Tensor x = g->forward({z, zero});
  EXPECT_FALSE(torch::equal(d->forward({x, zero}).x, d->forward({x, two}).x));
  const auto projected = conv_discriminator(make, shape, {.width = 8, .labels = "projection"});
  const torch::Tensor one = projected->forward({x, zero}).x;
  EXPECT_EQ(one.sizes(), (std::vector<int64_t>{1, 1}));
  EXPECT_FALSE(torch::equal(one, projected->forward({x, two}).x));
}

// The identities of resampled.h, with borders, any derivative and channels last.
TEST(Resampled, ConvolutionsAreThePlainOnes) {
  const auto same = [](const auto& folded, const auto& plain, int64_t height, int64_t width) {
    for (const auto& layer : {folded, plain}) layer->to(torch::kCPU, torch::kDouble);
    const torch::Tensor x = torch::randn({2, 3, height, width}, torch::kDouble).requires_grad_();
    const auto all = [&](const auto& layer) {
      layer->weight.set_requires_grad(true);
      const torch::Tensor y = layer->forward(x).square();
      const torch::Tensor gradient = torch::autograd::grad({y.sum()}, {x}, {}, true, true)[0];
      const torch::Tensor second =
          torch::autograd::grad({gradient.square().sum()}, {layer->weight}, {}, true, false)[0];
      return std::array{y, gradient, second};
    };
    const auto a = all(folded), b = all(plain);
    for (size_t i = 0; i < a.size(); ++i)
      EXPECT_LE((a[i] - b[i]).abs().max().template item<double>(),
                1e-12 * b[i].abs().max().template item<double>())
          << i;
  };
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{4, 4}, {2, 6}, {8, 10}}) {
    Maker one = maker(), other = maker();
    same(std::make_shared<UpConv2d>(one, 3, 5, LayerOptions{}, true),
         std::make_shared<UpConv2d>(other, 3, 5, LayerOptions{}, false), height, width);
    same(std::make_shared<DownConv2d>(one, 3, 5, LayerOptions{}, true),
         std::make_shared<DownConv2d>(other, 3, 5, LayerOptions{}, false), height, width);
  }
}

TEST(ResNets, FitImagesAndDependOnTheLabel) {
  Maker make = maker();
  for (const auto& [c, h, w] : std::vector<std::array<int64_t, 3>>{{1, 28, 28}, {3, 32, 32}, {3, 64, 32}}) {
    const NetShape shape = image(c, h, w, 3);
    const auto g = resnet_generator(make, shape, {.width = 8, .norm = "batch"});
    const auto d = resnet_discriminator(make, shape, {.width = 8, .norm = "spectral"});
    const torch::Tensor z = torch::randn({2, 10}), y = torch::tensor({0, 2}), other = torch::tensor({1, 1});
    g->train(false);
    d->train(false);
    const torch::Tensor x = g->forward({z, y}).x;
    EXPECT_EQ(x.sizes(), (std::vector<int64_t>{2, c, h, w}));
    EXPECT_FALSE(torch::equal(g->forward({z, other}).x, x));
    EXPECT_EQ(d->forward({x, y}).x.sizes(), (std::vector<int64_t>{2, 1}));
    EXPECT_FALSE(torch::equal(d->forward({x, y}).x, d->forward({x, other}).x));
  }
}

// The released critic and generator of 128 channels for 32x32 in colour: counted by hand from
// gan_cifar_resnet.py.
TEST(ResNets, HaveThePublishedNumberOfWeights) {
  Maker make = maker();
  NetShape shape = image(3, 32, 32);
  shape.latent = 128;
  const auto count = [](const Network& net) {
    int64_t all = 0;
    for (const auto& [name, weight] : net.parameters()) all += weight.numel();
    return all;
  };
  constexpr int64_t kBlock = 2 * (9 * 128 * 128 + 128), kShortcut = 128 * 128 + 128, kNorms = 2 * 2 * 128;
  EXPECT_EQ(count(*resnet_generator(make, shape, {.width = 128, .norm = "batch"})),
            (128 + 1) * 16 * 128 + 3 * (kBlock + kShortcut + kNorms) + 2 * 128 + (9 * 128 + 1) * 3);
  EXPECT_EQ(
      count(*resnet_discriminator(make, shape, {.width = 128})),
      (9 * 3 + 1) * 128 + (9 * 128 + 1) * 128 + (3 + 1) * 128 + kBlock + kShortcut + 2 * kBlock + 128 + 1);
}

TEST(MlpNets, GenerateVectorsAndImages) {
  Maker make = maker();
  const NetShape point{
      .field = {.name = "x", .shape = {2}, .dtype = torch::kFloat, .classes = 0, .class_names = {}},
      .latent = 10};
  const NetOptions options{.width = 16, .depth = 2};
  for (const NetShape& shape : {point, image(1, 5, 7)}) {
    const torch::Tensor x = mlp_generator(make, shape, options)->forward({torch::randn({3, 10})});
    std::vector<int64_t> sizes = shape.field.shape;
    sizes.insert(sizes.begin(), 3);
    EXPECT_EQ(x.sizes(), sizes);
    EXPECT_EQ(mlp_discriminator(make, shape, options)->forward({x}).x.sizes(), (std::vector<int64_t>{3, 1}));
  }
}

TEST(Module, NamesParametersAndMovesThemInPlace) {
  Maker make = maker();
  const auto net = mlp_generator(make, image(1, 4, 4), {.width = 4, .depth = 1});
  const Named before = net->parameters();
  ASSERT_EQ(before.size(), 4U);
  EXPECT_EQ(before[0].first, "main.0.weight");
  net->to(torch::kCPU, torch::kDouble);
  EXPECT_EQ(before[0].second.scalar_type(), torch::kDouble);
}

TEST(Module, InitialWeightsDependOnTheSeedOnly) {
  const auto weights = [](uint64_t seed) {
    Maker make(World::alone(), seed);
    return mlp_generator(make, image(1, 4, 4), {.width = 4, .depth = 1})->parameters()[0].second;
  };
  EXPECT_TRUE(torch::equal(weights(3), weights(3)));
  EXPECT_FALSE(torch::equal(weights(3), weights(4)));
}

TEST(MainField, IsNeverALabel) {
  const Field label{.name = "label", .shape = {}, .dtype = torch::kLong, .classes = 3, .class_names = {}};
  const Field kind{.name = "kind", .shape = {}, .dtype = torch::kLong, .classes = 3, .class_names = {}};
  const auto field = [](const char* name, torch::ScalarType dtype) {
    return Field{.name = name, .shape = {4}, .dtype = dtype, .class_names = {}};
  };
  EXPECT_EQ(main_field({{label, field("x", torch::kFloat)}}).name, "x");
  EXPECT_EQ(main_field({{label, kind, field("faces", torch::kByte)}}).name, "faces");
  EXPECT_EQ(main_field({{field("x", torch::kFloat), field("image", torch::kByte)}}).name, "image");
  const auto refusal = [](const Schema& data) {
    try {
      main_field(data);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refusal({{label, kind}}), testing::HasSubstr("found only labels: label int64 []"));
  EXPECT_THAT(refusal({{field("x", torch::kInt), label}}),
              testing::HasSubstr("no net here draws the field x"));
}

}  // namespace
}  // namespace saddle
