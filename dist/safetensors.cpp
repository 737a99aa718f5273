#include "dist/safetensors.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/json.h"

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

constexpr int64_t kMostHeader = int64_t{16} << 20;  // 100,000 tensors and more
constexpr size_t kMostAxes = 64;                    // LibTorch's own limit

// One tensor of the header.
struct Entry {
  std::string name, dtype;
  std::vector<int64_t> shape;
  int64_t first = 0, end = 0;  // of its bytes
};

std::vector<int64_t> counts_at(const json& in, const char* key, size_t most) {
  std::vector<int64_t> out;
  const json& list = list_at(in, key);
  require(list.size() <= most, Exit::data, "{}: expected at most {} numbers, found {}", key, most,
          list.size());
  for (const json& each : list) out.push_back(integer(each));
  require(std::none_of(out.begin(), out.end(), [](int64_t value) { return value < 0; }), Exit::data,
          "{}: expected no negative number, found {}", key, excerpt(list));
  return out;
}

Entry entry_of(const std::string& name, const json& in) try {
  const std::vector<int64_t> offsets = counts_at(in, "data_offsets", 2);
  require(offsets.size() == 2, Exit::data, "data_offsets: expected two numbers, found {}", offsets.size());
  return {.name = name,
          .dtype = text_at(in, "dtype"),
          .shape = counts_at(in, "shape", kMostAxes),
          .first = offsets[0],
          .end = offsets[1]};
} catch (const Error& error) {
  fail(error.kind, "{}: {}", excerpt(name), error.what());
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

// What the shape takes; nothing if 64 bits do not hold it, or its extents but for those of 0.
std::optional<int64_t> bytes_of(const Entry& entry, torch::ScalarType type) {
  auto bytes = static_cast<int64_t>(torch::elementSize(type));
  bool empty = false;
  for (const int64_t extent : entry.shape) {
    empty = empty || extent == 0;
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes)) return {};
  }
  return empty ? 0 : bytes;
}

// Memory is taken once its bytes are known to be there.
torch::Tensor tensor_of(const std::string& path, const Entry& entry, const InputFile& file, int64_t data) {
  const torch::ScalarType type = type_of(entry, path);
  require(bytes_of(entry, type) == entry.end - entry.first, Exit::data,
          "'{}': {} [{}] does not take the {} bytes of '{}'", path, entry.dtype, fmt::join(entry.shape, ", "),
          entry.end - entry.first, entry.name);
  torch::Tensor tensor = torch::empty(entry.shape, type);
  file.read(data + entry.first, tensor.data_ptr(), entry.end - entry.first);
  return tensor;
}

// In the order of their bytes, which leave no gap.
std::vector<Entry> entries_of(const json& header, int64_t size) {
  std::vector<Entry> entries;
  for (const auto& [name, entry] : header.items())
    if (name != "__metadata__") entries.push_back(entry_of(name, entry));
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.first, a.end) < std::pair(b.first, b.end);
  });
  int64_t at = 0;
  for (const Entry& entry : entries) {
    require(entry.first == at && entry.end >= at && entry.end <= size, Exit::data,
            "the bytes {} to {} of '{}' overlap, leave a gap or pass the end", entry.first, entry.end,
            entry.name);
    at = entry.end;
  }
  require(at == size, Exit::data, "the file has {} bytes of tensors, it describes {}", size, at);
  return entries;
}

struct Header {
  std::vector<Entry> entries;
  int64_t data;  // where the bytes of tensors begin in the file
};

Header header_of(const std::string& path, const InputFile& file) {
  uint64_t length = 0;
  constexpr auto kWord = int64_t{sizeof length};
  require(file.size() >= kWord, Exit::data, "'{}' is cut off: {} bytes", path, file.size());
  file.read(0, &length, kWord);
  const int64_t rest = file.size() - kWord;
  require(length <= uint64_t(rest), Exit::data, "'{}' is cut off: its header says {} bytes, {} are there",
          path, length, rest);
  require(length <= uint64_t{kMostHeader}, Exit::data,
          "'{}' has a broken header: expected at most {} bytes of it, found {}", path, kMostHeader, length);
  std::string text(length, '\0');
  file.read(kWord, text.data(), int64_t(length));
  try {
    const json header = parse_json(text, "");
    require(header.is_object(), Exit::data, "expected an object, found {}", excerpt(header));
    return {.entries = entries_of(header, rest - int64_t(length)), .data = kWord + int64_t(length)};
  } catch (const Error& error) {
    fail(Exit::data, "'{}' has a broken header: {}", path, error.what());
  }
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
    const std::string& path, const std::function<bool(const std::string& name)>& keep) {
  const InputFile file(path);
  const Header header = header_of(path, file);
  std::map<std::string, torch::Tensor> tensors;
  for (const Entry& entry : header.entries)
    if (!keep || keep(entry.name)) tensors[entry.name] = tensor_of(path, entry, file, header.data);
  return tensors;
}

}  // namespace saddle
