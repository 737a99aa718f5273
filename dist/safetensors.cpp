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

// One tensor of the header.
struct Entry {
  std::string name, dtype;
  std::vector<int64_t> shape;
  int64_t first = 0, end = 0;  // of its bytes
};

Entry entry_of(const std::string& path, const std::string& name, const json& in) {
  const auto offsets = in.at("data_offsets").get<std::vector<int64_t>>();
  Entry entry{.name = name,
              .dtype = in.at("dtype").get<std::string>(),
              .shape = in.at("shape").get<std::vector<int64_t>>()};
  const auto negative = [](int64_t extent) { return extent < 0; };
  require(offsets.size() == 2 && std::none_of(entry.shape.begin(), entry.shape.end(), negative), Exit::data,
          "'{}': expected shape and offsets of '{}', found {}", path, name, in.dump());
  entry.first = offsets[0], entry.end = offsets[1];
  return entry;
}

torch::ScalarType type_of(const Entry& entry, const std::string& path) {
  for (const auto& [type, known] : kTypes)
    if (known == entry.dtype) return type;
  fail(Exit::data,
       "'{}': the tensor '{}' is of dtype {}, which is not read; convert it to F32, or leave it out where "
       "names "
       "are mapped",
       path, entry.name, entry.dtype);
}

torch::Tensor tensor_of(const std::string& path, const Entry& entry, const char* data) {
  torch::Tensor tensor = torch::empty(entry.shape, type_of(entry, path));
  require(static_cast<int64_t>(tensor.nbytes()) == entry.end - entry.first, Exit::data,
          "'{}': {} [{}] does not take the {} bytes of '{}'", path, entry.dtype, fmt::join(entry.shape, ", "),
          entry.end - entry.first, entry.name);
  if (tensor.numel() > 0) std::memcpy(tensor.data_ptr(), data + entry.first, tensor.nbytes());
  return tensor;
}

// In the order of their bytes, which leave no gap.
std::vector<Entry> entries_of(const std::string& path, const json& header, int64_t size) {
  std::vector<Entry> entries;
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__") entries.push_back(entry_of(path, name, entry));
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.first, a.end) < std::pair(b.first, b.end);
  });
  int64_t at = 0;
  for (const Entry& entry : entries) {
    require(entry.first == at && entry.end >= at && entry.end <= size, Exit::data,
            "'{}': the bytes {} to {} of '{}' overlap, leave a gap or pass the end", path, entry.first,
            entry.end, entry.name);
    at = entry.end;
  }
  require(at == size, Exit::data, "'{}' has {} bytes of tensors, its header describes {}", path, size, at);
  return entries;
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

std::map<std::string, torch::Tensor> read_safetensors(
    const std::string& path, const std::function<bool(const std::string& name)>& keep) try {
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
  std::map<std::string, torch::Tensor> tensors;
  for (const Entry& entry : entries_of(path, header, size))
    if (!keep || keep(entry.name)) tensors[entry.name] = tensor_of(path, entry, data);
  return tensors;
} catch (const json::exception& e) {
  fail(Exit::data, "'{}' has a broken header: {}", path, e.what());
}

}  // namespace saddle
