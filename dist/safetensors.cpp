#include "dist/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "dist/error.h"
#include "dist/file.h"

namespace saddle {
namespace {

using nlohmann::json;

const std::vector<std::pair<torch::ScalarType, std::string>> kTypes = {
    {torch::kDouble, "F64"}, {torch::kFloat, "F32"}, {torch::kHalf, "F16"},  {torch::kBFloat16, "BF16"},
    {torch::kLong, "I64"},   {torch::kInt, "I32"},   {torch::kShort, "I16"}, {torch::kChar, "I8"},
    {torch::kByte, "U8"},    {torch::kBool, "BOOL"}};

std::string type_name(torch::ScalarType type) {
  for (const auto& [known, name] : kTypes)
    if (known == type) return name;
  fail(Exit::bug, "safetensors has no dtype {}", c10::toString(type));
}

torch::ScalarType type_of(const std::string& name, const std::string& path) {
  for (const auto& [type, known] : kTypes)
    if (known == name) return type;
  fail(Exit::data, "'{}' holds a tensor of unknown dtype '{}'", path, name);
}

// One tensor of the header: its bytes must begin where the one before ended.
torch::Tensor tensor_at(const std::string& path, const json& entry, const char* data, int64_t size,
                        int64_t& at) {
  const auto shape = entry.at("shape").get<std::vector<int64_t>>();
  const auto offsets = entry.at("data_offsets").get<std::vector<int64_t>>();
  const torch::ScalarType type = type_of(entry.at("dtype").get<std::string>(), path);
  require(std::all_of(shape.begin(), shape.end(), [](int64_t d) { return d >= 0; }) && offsets.size() == 2 &&
              offsets[0] == at && offsets[1] >= at && offsets[1] <= size,
          Exit::data, "'{}': a tensor's bytes {} overlap, leave a gap or pass the end", path, entry.dump());
  torch::Tensor tensor = torch::empty(shape, type);
  require(static_cast<int64_t>(tensor.nbytes()) == offsets[1] - at, Exit::data,
          "'{}': shape and bytes disagree in {}", path, entry.dump());
  if (tensor.numel() > 0) std::memcpy(tensor.data_ptr(), data + at, tensor.nbytes());
  at = offsets[1];
  return tensor;
}

}  // namespace

int64_t write_safetensors(const std::string& path, const std::map<std::string, torch::Tensor>& tensors,
                          const Metadata& metadata) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  int64_t at = 0;
  for (const auto& [name, tensor] : tensors) {
    const int64_t end = at + static_cast<int64_t>(tensor.nbytes());
    header[name] = {{"dtype", type_name(tensor.scalar_type())},
                    {"shape", tensor.sizes().vec()},
                    {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // tensors start aligned
  const uint64_t length = text.size();
  OutputFile out(path);
  out.write(&length, sizeof length);
  out.write(text.data(), static_cast<int64_t>(text.size()));
  for (const auto& [name, tensor] : tensors) {
    const torch::Tensor host = tensor.detach().cpu().contiguous();
    out.write(host.data_ptr(), static_cast<int64_t>(host.nbytes()));
  }
  out.close();
  return static_cast<int64_t>(sizeof length + text.size()) + at;
}

int64_t publish_safetensors(const std::string& path, const std::map<std::string, torch::Tensor>& tensors,
                            const Metadata& metadata) {
  const int64_t bytes = write_safetensors(path + ".tmp", tensors, metadata);
  std::error_code error;
  std::filesystem::rename(path + ".tmp", path, error);
  require(!error, Exit::io, "cannot write '{}': {}", path, error.message());
  sync_folder(std::filesystem::absolute(path).parent_path().string());
  return bytes;
}

std::map<std::string, torch::Tensor> read_safetensors(const std::string& path) try {
  const std::string file = read_file(path);
  uint64_t length = 0;
  require(file.size() >= sizeof length, Exit::data, "'{}' is cut off: {} bytes", path, file.size());
  std::memcpy(&length, file.data(), sizeof length);
  require(length <= file.size() - sizeof length, Exit::data,
          "'{}' is cut off: its header says {} bytes, {} are there", path, length,
          file.size() - sizeof length);
  const json header =
      json::parse(file.begin() + sizeof length, file.begin() + sizeof length + int64_t(length));
  const char* data = file.data() + sizeof length + length;
  const int64_t size = static_cast<int64_t>(file.size() - sizeof length - length);
  std::vector<std::pair<std::string, json>> entries;
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__") entries.emplace_back(name, entry);
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.second.at("data_offsets") < b.second.at("data_offsets");
  });
  std::map<std::string, torch::Tensor> tensors;
  int64_t at = 0;
  for (const auto& [name, entry] : entries) tensors[name] = tensor_at(path, entry, data, size, at);
  require(at == size, Exit::data, "'{}' has {} bytes of tensors, its header describes {}", path, size, at);
  return tensors;
} catch (const json::exception& e) {
  fail(Exit::data, "'{}' has a broken header: {}", path, e.what());
}

}  // namespace saddle
