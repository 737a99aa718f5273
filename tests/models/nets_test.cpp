#include "models/nets/nets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dist/error.h"
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

TEST(ConvNets, AConditionalNetDependsOnTheLabel) {
  Maker make = maker();
  const NetShape shape = image(1, 16, 16, 3);
  const auto g = conv_generator(make, shape, {.width = 8}), d = conv_discriminator(make, shape, {.width = 8});
  const torch::Tensor z = torch::randn({1, 10}), zero = torch::zeros({1}, torch::kLong),
                      two = torch::full({1}, 2, torch::kLong);
  EXPECT_FALSE(torch::equal(g->forward({z, zero}).x, g->forward({z, two}).x));
  const torch::Tensor x = g->forward({z, zero});
  EXPECT_FALSE(torch::equal(d->forward({x, zero}).x, d->forward({x, two}).x));
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
