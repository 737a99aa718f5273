// Pictures as Pillow decodes and resizes them; see tests/peers/pictures.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/view/picture.h"
#include "data/view/resize.h"
#include "tests/data/folder.h"

namespace saddle {
namespace {

using nlohmann::json;
using test::error_of;
using testing::HasSubstr;

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
    const bool lossy = name.find("jpeg") != std::string::npos || name == "webp-lossy";
    EXPECT_LE(distance(found, expected), lossy ? 1 : 0) << name;
    EXPECT_EQ(picture_info(name, bytes),
              (PictureInfo{shape[0], shape[1], shape[2], wide ? 16 : 8, row["orientation"]}))
        << name;
  }
}

std::string file_of(const std::string& name) {
  for (const json& row : golden()["decode"])
    if (row["name"] == name) return from_base64(row["file"]);
  throw std::runtime_error(name);
}

std::string big_endian(uint32_t value, int bytes) {
  std::string out;
  while (bytes-- > 0) out += char(value >> (8 * bytes));
  return out;
}

uint32_t number_at(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t k = 0; k < 4; ++k) value = value << 8 | uint8_t(bytes[at + k]);
  return value;
}

// A PNG whose chunks have the checksums of what they hold now.
std::string with_sums(std::string png) {
  for (size_t at = 8; at + 12 <= png.size();) {
    const uint32_t length = number_at(png, at);
    if (length > png.size() - at - 12) break;
    const auto sum = crc32(0, reinterpret_cast<const Bytef*>(png.data() + at + 4), length + 4);
    png.replace(at + 8 + length, 4, big_endian(uint32_t(sum), 4));
    at += 12 + length;
  }
  return png;
}

TEST(Picture, RefusesSizesThatSoFewBytesCannotHold) {
  std::string png = file_of("rgb"), jpeg = file_of("jpeg-progressive");
  const size_t frame = jpeg.find("\xff\xc2");
  const auto error = [&](uint32_t side) {
    png.replace(16, 8, big_endian(side, 4) + big_endian(side, 4));
    jpeg.replace(frame + 5, 4, big_endian(side, 2) + big_endian(side, 2));
    return error_of([&] { decode_picture("a.png", with_sums(png)); }) +
           error_of([&] { decode_picture("a.jpg", jpeg); });
  };
  EXPECT_THAT(error(8000), testing::ContainsRegex("a.png: .* cannot hold.*a.jpg: .* cannot hold"));
  EXPECT_THAT(error(40000), testing::ContainsRegex("a.png: .* not decoded.*a.jpg: .* not decoded"));
  EXPECT_THAT(error(0), testing::ContainsRegex("a.png: damaged.*a.jpg: damaged"));
}

TEST(Picture, IsRefusedOrDecodedWhateverItsBytes) {
  int refused = 0, decoded = 0;
  for (const json& row : golden()["decode"]) {
    const std::string intact = from_base64(row["file"]);
    for (size_t at = 8; at < intact.size(); ++at)
      for (int change : {1, 0x40, 0xff}) {
        std::string bytes = intact;
        bytes[at] = char(bytes[at] ^ change);
        try {
          const torch::Tensor found = decode_picture("bad", with_sums(bytes));
          const PictureInfo info = picture_info("bad", with_sums(bytes));
          ASSERT_EQ(found.sizes(), (std::vector<int64_t>{info.channels, info.height, info.width}));
          ++decoded;
        } catch (const Error& error) {
          ASSERT_EQ(error.kind, Exit::data) << error.what();
          ++refused;
        }
      }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(decoded, 1000);
}

TEST(Picture, OfAMaskIsThePalettesIndex) {
  for (const json& row : golden()["decode"]) {
    const std::string name = row["name"];
    const auto shape = row["shape"].get<std::vector<int64_t>>();
    if (name.find("grey-16") != std::string::npos) continue;  // refused: 8 bits would merge its values
    const torch::Tensor mask = decode_mask(name, from_base64(row["file"]));
    EXPECT_EQ(mask.sizes(), (std::vector<int64_t>{1, shape[1], shape[2]})) << name;
    if (name.find("palette") != std::string::npos) {
      EXPECT_LT(mask.max().item<int>(), 8) << name;
    }
    if (name == "grey") {
      EXPECT_TRUE(mask.equal(tensor_of(row["pixels"], shape, torch::kByte)));
    }
  }
}

}  // namespace
}  // namespace saddle
