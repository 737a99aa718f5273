#include "dist/safetensors.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

// A file of this header and so many zeros.
std::string with_header(std::string header, size_t data) {
  header.resize((header.size() + 7) / 8 * 8, ' ');
  const uint64_t length = header.size();
  std::string out(reinterpret_cast<const char*>(&length), sizeof length);
  out += header;
  out.append(data, '\0');
  return out;
}

class Safetensors : public testing::Test {
 protected:
  std::string path_ = testing::TempDir() + "saddle_safetensors_" + std::to_string(::getpid());
  void TearDown() override { std::filesystem::remove(path_); }

  void break_and_expect(const std::string& broken) {
    write_file(path_, broken);
    try {
      read_safetensors(path_);
      FAIL() << "read a broken file";
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(path_), std::string::npos) << e.what();
    }
  }
};

TEST_F(Safetensors, EveryDtypeAndShapeComesBack) {
  std::map<std::string, torch::Tensor> tensors;
  for (const auto type : {torch::kFloat, torch::kDouble, torch::kHalf, torch::kBFloat16, torch::kLong,
                          torch::kInt, torch::kByte, torch::kBool})
    tensors[c10::toString(type)] = torch::arange(6, torch::kFloat).to(type).view({2, 3});
  tensors["scalar"] = torch::full({}, 2.5);
  tensors["empty"] = torch::empty({0, 4});
  tensors["strided"] = torch::arange(6, torch::kFloat).view({2, 3}).t();
  const int64_t bytes = write_safetensors(path_, tensors, {{"system", "dcgan"}});
  EXPECT_EQ(bytes, static_cast<int64_t>(std::filesystem::file_size(path_)));
  const auto read = read_safetensors(path_);
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(read.at(name), tensor)) << name;
  }
}

TEST_F(Safetensors, ACutFileIsRefusedAtEveryLength) {
  write_safetensors(path_, {{"a", torch::ones({3})}});
  const std::string whole = read_file(path_);
  for (size_t length = 0; length < whole.size(); ++length) break_and_expect(whole.substr(0, length));
}

TEST_F(Safetensors, HolesOverlapsAndLyingShapesAreRefused) {
  break_and_expect(with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8));
  break_and_expect(with_header(
      R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
      6));
  break_and_expect(with_header(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4));
  break_and_expect(with_header(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4));
  break_and_expect(with_header(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 9));
  break_and_expect(with_header(R"({"a":)", 4));
}

// Each would take more memory than there is, or wrap around to the bytes that there are.
TEST_F(Safetensors, ShapesThatOnlyClaimToBeLargeTakeNoMemory) {
  for (const char* shape :
       {"[1099511627776]", "[4611686018427387904,4]", "[4294967296,4294967296,4294967296]",
        "[0,4611686018427387904,4611686018427387904]", "[9223372036854775807]", "[-1]", "[1e300]",
        "[18446744073709551615]", "[null]", "{}", "\"4\""})
    break_and_expect(
        with_header(fmt::format(R"({{"a":{{"dtype":"F32","shape":{},"data_offsets":[0,4]}}}})", shape), 4));
  std::string ones = "1";
  for (int i = 1; i < 65; ++i) ones += ",1";
  break_and_expect(
      with_header(fmt::format(R"({{"a":{{"dtype":"F32","shape":[{}],"data_offsets":[0,4]}}}})", ones), 4));
}

TEST_F(Safetensors, HeadersOfOtherTypesDepthsAndSizesAreRefused) {
  for (
      const char* header :
      {"[]", "3", "null", R"({"a":3})", R"({"a":{}})",
       R"({"a":{"dtype":1,"shape":[1],"data_offsets":[0,4]}})",
       R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})",
       R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})",
       R"({"a":{"dtype":"F32","shape":[1],"data_offsets":["0","4"]}})",
       R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})"})
    break_and_expect(with_header(header, 4));
  break_and_expect(with_header(std::string(200'000, '['), 4));
  break_and_expect(with_header(R"({"a":)" + std::string(200'000, '[') + std::string(200'000, ']') + "}", 4));
  std::filesystem::remove(path_);
  std::ofstream(path_, std::ios::binary) << std::string("\0\0\0\0\1\0\0\0", 8);  // a header of 4 GiB
  std::filesystem::resize_file(path_, int64_t{1} << 33);                         // which is there, as a hole
  EXPECT_THROW(read_safetensors(path_), Error);
}

TEST_F(Safetensors, TensorsThatAreNotKeptMayBeOfAnyDtype) {
  write_file(
      path_,
      with_header(
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[4,7]}})",
          7));
  EXPECT_EQ(read_safetensors(path_, [](const std::string& name) { return name == "a"; }).size(), 1);
  try {
    read_safetensors(path_);
    FAIL() << "read a dtype that it does not know";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("'b' is of dtype F8_E4M3"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace saddle
