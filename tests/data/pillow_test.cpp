// Pictures as Pillow decodes and resizes them; see tests/peers/pictures.py.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/pack/resize.h"
#include "data/picture.h"

namespace saddle {
namespace {

using nlohmann::json;

const json& golden() {
  static const json file = json::parse(std::ifstream(SADDLE_SOURCE_DIR "/tests/peers/goldens/pictures.json"));
  return file;
}

torch::Tensor tensor_of(const json& values, const std::vector<int64_t>& shape, torch::ScalarType dtype) {
  return torch::tensor(values.get<std::vector<double>>()).reshape(shape).to(dtype);
}

std::string from_base64(const std::string& text) {
  static const std::string kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int held = 0;
  for (char c : text) {
    if (c == '=') break;
    bits = bits << 6 | unsigned(kDigits.find(c)), held += 6;
    if (held >= 8) out += char(bits >> (held -= 8) & 255);
  }
  return out;
}

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kDouble) - b.to(torch::kDouble)).abs().max().item<double>();
}

ImageSize size_of(const json& size) {
  return {.height = size[0], .width = size[1]};
}

TEST(Resize, IsPillows) {
  for (const json& row : golden()["resize"]) {
    const bool bytes = row["mode"] == "L";
    if (row["mode"] == "RGBA") continue;
    const ImageSize from = size_of(row["from"]), to = size_of(row["to"]);
    const auto dtype = bytes ? torch::kByte : torch::kFloat;
    const torch::Tensor source = tensor_of(row["source"], {1, from.height, from.width}, dtype),
                        result = tensor_of(row["result"], {1, to.height, to.width}, dtype);
    EXPECT_LE(distance(resize(source, to, row["filter"]), result), bytes ? 0 : 1e-4)
        << row["filter"] << row["mode"] << row["from"] << row["to"];
  }
}

TEST(Resize, GivesTheSameIn16Bits) {
  for (const json& row : golden()["resize"]) {
    if (row["mode"] != "F") continue;
    const ImageSize from = size_of(row["from"]), to = size_of(row["to"]);
    const torch::Tensor source =
                            tensor_of(row["source"], {1, from.height, from.width}, torch::kDouble) * 2048,
                        result = tensor_of(row["result"], {1, to.height, to.width}, torch::kDouble) * 2048;
    const torch::Tensor found = resize(source.to(torch::kUInt16), to, row["filter"]);
    EXPECT_EQ(found.scalar_type(), torch::kUInt16);
    EXPECT_LE(distance(found, result.clamp(0, 65535)), 0.75) << row["filter"] << row["from"] << row["to"];
  }
}

TEST(Fit, WeighsColoursByTheirOpacityAsPillowDoes) {
  int seen = 0;
  for (const json& row : golden()["resize"]) {
    if (row["mode"] != "RGBA") continue;
    const ImageSize from = size_of(row["from"]), to = size_of(row["to"]);
    const torch::Tensor
        source = tensor_of(row["source"], {from.height, from.width, 4}, torch::kByte).permute({2, 0, 1}),
        result = tensor_of(row["result"], {to.height, to.width, 4}, torch::kByte).permute({2, 0, 1});
    const Fit how{.channels = 4, .size = to, .filter = row["filter"], .crop = "none"};
    EXPECT_LE(distance(fit(source, how), result), 1) << row["filter"];
    ++seen;
  }
  EXPECT_EQ(seen, 4);
}

TEST(Picture, IsDecodedAsPillowDoes) {
  for (const json& row : golden()["decode"]) {
    const std::string name = row["name"], bytes = from_base64(row["file"]);
    const bool wide = row["bits"] == 16;
    const auto shape = row["shape"].get<std::vector<int64_t>>();
    const torch::Tensor expected = tensor_of(row["pixels"], shape, wide ? torch::kUInt16 : torch::kByte),
                        found = decode_picture(name, bytes);
    ASSERT_EQ(found.sizes(), expected.sizes()) << name;
    ASSERT_EQ(found.scalar_type(), expected.scalar_type()) << name;
    EXPECT_LE(distance(found, expected), name.starts_with("jpeg") ? 1 : 0) << name;
    EXPECT_EQ(picture_info(name, bytes), (PictureInfo{shape[0], shape[1], shape[2], wide ? 16 : 8})) << name;
  }
}

TEST(Picture, OfAMaskIsThePalettesIndex) {
  for (const json& row : golden()["decode"]) {
    const std::string name = row["name"];
    const auto shape = row["shape"].get<std::vector<int64_t>>();
    const torch::Tensor mask = decode_mask(name, from_base64(row["file"]));
    EXPECT_EQ(mask.sizes(), (std::vector<int64_t>{1, shape[1], shape[2]})) << name;
    if (name.starts_with("palette")) {
      EXPECT_LT(mask.max().item<int>(), 8) << name;
    }
    if (name == "grey") {
      EXPECT_TRUE(mask.equal(tensor_of(row["pixels"], shape, torch::kByte)));
    }
  }
}

}  // namespace
}  // namespace saddle
