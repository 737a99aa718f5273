// Parity with PyTorch: tests/peers/losses.py writes inputs, values and gradients, computed from formulas of
// its own.
#include <ATen/ops/allclose.h>
#include <gtest/gtest.h>

#include "dist/tensor.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "losses/adversarial.h"
#include "losses/metrics/frechet.h"
#include "losses/penalty.h"

namespace saddle {
namespace {

using nlohmann::json;
using torch::Tensor;

const json& golden() {
  static const json file = json::parse(std::ifstream(SADDLE_SOURCE_DIR "/tests/peers/goldens/losses.json"));
  return file;
}

// {"shape": [...], "data": [...]} in float64.
Tensor read(const json& j) {
  auto data = j.at("data").get<std::vector<double>>();
  return torch::tensor(data, torch::kDouble).reshape(j.at("shape").get<std::vector<int64_t>>());
}

Tensor read_leaf(const json& j) {
  return read(j).requires_grad_(true);
}

void expect_same(const Tensor& found, const json& expected, const std::string& what) {
  auto wanted = read(expected);
  EXPECT_TRUE(torch::allclose(found, wanted, 1e-8, 1e-8)) << what << "\nfound\n"
                                                          << found << "\nexpected\n"
                                                          << wanted;
}

Tensor gradient(const Tensor& loss, const Tensor& x) {
  return torch::autograd::grad({loss}, {x}, {}, true)[0];
}

TEST(LossesPeer, EveryAdversarialLossIsPyTorchs) {
  for (const auto& loss : adversarial_losses()) {
    const auto& file = golden().at(loss.g_needs_real ? "relativistic" : "adversarial");
    auto real = read_leaf(file.at("real")), fake = read_leaf(file.at("fake"));
    ASSERT_TRUE(file.at("losses").contains(loss.name))
        << loss.name << " has no peer: add it to tests/peers/losses.py";
    const auto& expected = file.at("losses").at(loss.name);
    auto d = total(loss.d(real, fake, mean_here)), g = total(loss.g(real, fake, mean_here));
    expect_same(d, expected.at("d"), loss.name + " d");
    expect_same(g, expected.at("g"), loss.name + " g");
    expect_same(gradient(d, real), expected.at("d_real"), loss.name + " d in real");
    expect_same(gradient(d, fake), expected.at("d_fake"), loss.name + " d in fake");
    expect_same(gradient(g, fake), expected.at("g_fake"), loss.name + " g in fake");
  }
}

TEST(LossesPeer, EveryPenaltyIsPyTorchs) {
  const auto& file = golden().at("penalty");
  auto input = [&](const char* name) { return read(file.at(name)); };
  auto w0 = read_leaf(file.at("w0")), w1 = read_leaf(file.at("w1"));
  auto critic = [&](const Tensor& x) {
    return torch::leaky_relu(x.flatten(1).mm(w0.t()), 0.2).square().mm(w1.t());
  };
  auto real = input("real"), fake = input("fake"), alpha = input("alpha"), noise = input("noise"),
       std = input("std");
  const std::map<std::string, Tensor> found = {
      {"gradient_penalty", gradient_penalty(critic, real, fake, alpha)},
      {"gradient_penalty_2", gradient_penalty(critic, real, fake, alpha, 2)},
      {"r1", r1(critic, real)},
      {"r2", r2(critic, fake)},
      {"dragan", dragan(critic, real, noise, std)}};
  for (const auto& [name, penalty] : found) {
    const auto& expected = file.at("penalties").at(name);
    expect_same(penalty, expected.at("value"), name);
    expect_same(gradient(penalty, w0), expected.at("w0"), name + " in w0");
    expect_same(gradient(penalty, w1), expected.at("w1"), name + " in w1");
  }
}

TEST(LossesPeer, TheFrechetDistanceIsNumpys) {
  const auto& file = golden().at("frechet");
  const double expected = file.at("distance").get<double>();
  EXPECT_NEAR(frechet_distance(read(file.at("a")), read(file.at("b"))), expected, 1e-8 * expected);
}

}  // namespace
}  // namespace saddle
