#include "dist/checkpoint.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/log.h"
#include "dist/safetensors.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kFormat = 1;

std::string step_name(int64_t step) {
  return fmt::format("step-{:010}", step);
}

// Published checkpoints by step, oldest first.
std::vector<std::pair<int64_t, fs::path>> published(const std::string& folder) {
  std::vector<std::pair<int64_t, fs::path>> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (name.size() == 15 && name.starts_with("step-") &&
        name.find_first_not_of("0123456789", 5) == std::string::npos)
      found.emplace_back(std::stoll(name.substr(5)), entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// The tensors this rank writes: each, largest first, goes to the rank with the least so far.
std::map<std::string, torch::Tensor> share(const Comm& comm, const State& state) {
  std::vector<std::pair<int64_t, std::string>> by_size;
  for (const auto& [name, tensor] : state.tensors)
    by_size.emplace_back(-static_cast<int64_t>(tensor.nbytes()), name);
  std::sort(by_size.begin(), by_size.end());
  std::vector<int64_t> load(comm.size());
  std::map<std::string, torch::Tensor> mine;
  for (const auto& [bytes, name] : by_size) {
    const auto lightest = std::min_element(load.begin(), load.end());
    *lightest -= bytes;
    if (lightest - load.begin() == comm.rank()) mine[name] = state.tensors.at(name);
  }
  return mine;
}

json write_share(const Comm& comm, const fs::path& folder, const State& state) {
  const std::string file = fmt::format("state-{:05}-of-{:05}.safetensors", comm.rank(), comm.size());
  const std::string path = (folder / file).string();
  const int64_t bytes = write_safetensors(path, share(comm, state));
  return {{"file", file}, {"bytes", bytes}, {"xxh3_128", hash_file(path)}};
}

void publish(const fs::path& temporary, const fs::path& target, const json& manifest) {
  write_file((temporary / "manifest.json").string(), manifest.dump(1));
  fs::remove_all(target);  // a damaged one of the same step, or this step done again
  std::error_code error;
  fs::rename(temporary, target, error);
  require(!error, Exit::io, "cannot publish checkpoint '{}': {}", target.string(), error.message());
  sync_folder(target.parent_path().string());
}

void retire(const std::string& folder, int64_t keep) {
  auto found = published(folder);
  for (size_t i = 0; i + static_cast<size_t>(keep) < found.size(); ++i) {
    const fs::path doomed = found[i].second.string() + ".old";  // never half of a published one
    fs::rename(found[i].second, doomed);
    fs::remove_all(doomed);
  }
}

void verify_file(const fs::path& folder, const json& file) {
  const std::string path = (folder / file.at("file").get<std::string>()).string();
  std::error_code error;
  const auto bytes = fs::file_size(path, error);
  require(!error, Exit::data, "'{}' is missing", path);
  require(bytes == file.at("bytes").get<uintmax_t>(), Exit::data, "'{}' has {} bytes, its manifest says {}",
          path, bytes, file.at("bytes").get<uintmax_t>());
  require(hash_file(path) == file.at("xxh3_128").get<std::string>(), Exit::data,
          "'{}' is damaged: its checksum differs", path);
}

Checkpoint read_checkpoint(const fs::path& folder) try {
  const json manifest = json::parse(read_file((folder / "manifest.json").string()));
  const int format = manifest.at("format").get<int>();
  require(format <= kFormat, Exit::data,
          "'{}' has checkpoint format {}, this saddle reads up to {}: use a newer saddle", folder.string(),
          format, kFormat);
  Checkpoint checkpoint{.step = manifest.at("step").get<int64_t>(),
                        .state = {},
                        .about = manifest.at("about"),
                        .folder = folder.string()};
  for (const json& file : manifest.at("files")) {
    verify_file(folder, file);
    checkpoint.state.tensors.merge(read_safetensors((folder / file.at("file").get<std::string>()).string()));
  }
  for (const auto& [name, value] : manifest.at("numbers").items()) checkpoint.state.numbers[name] = value;
  require(checkpoint.state.tensors.size() == manifest.at("tensors").get<size_t>(), Exit::data,
          "'{}' holds {} tensors, its manifest says {}", folder.string(), checkpoint.state.tensors.size(),
          manifest.at("tensors").get<size_t>());
  return checkpoint;
} catch (const json::exception& e) {
  fail(Exit::data, "'{}' has a broken manifest: {}", folder.string(), e.what());
}

}  // namespace

void save_checkpoint(const Comm& comm, const std::string& folder, const Checkpoint& checkpoint,
                     int64_t keep) {
  const fs::path target = fs::path(folder) / step_name(checkpoint.step), temporary = target.string() + ".tmp";
  comm.together([&] {
    if (comm.rank() != 0) return;
    fs::remove_all(temporary);  // left by a killed save
    fs::create_directories(temporary);
  });
  json file;
  comm.together([&] { file = write_share(comm, temporary, checkpoint.state); });
  const auto files = comm.all_gather_text(file.dump());
  comm.together([&] {
    if (comm.rank() != 0) return;
    json manifest = {{"format", kFormat},
                     {"step", checkpoint.step},
                     {"world_size", comm.size()},
                     {"tensors", checkpoint.state.tensors.size()},
                     {"numbers", checkpoint.state.numbers},
                     {"about", checkpoint.about},
                     {"files", json::array()}};
    for (const std::string& text : files) manifest["files"].push_back(json::parse(text));
    publish(temporary, target, manifest);
    retire(folder, keep);
  });
}

std::optional<Checkpoint> load_checkpoint(const std::string& folder) {
  auto found = published(folder);
  for (auto candidate = found.rbegin(); candidate != found.rend(); ++candidate) {
    try {
      return read_checkpoint(candidate->second);
    } catch (const Error& e) {
      log::warn("checkpoint {} is not usable, trying the one before: {}", candidate->second.string(),
                e.what());
    }
  }
  require(found.empty(), Exit::data,
          "none of the {} checkpoints in '{}' is whole: restore one, or start again in another folder",
          found.size(), folder);
  return std::nullopt;
}

std::optional<Checkpoint> load_checkpoint(const Comm& comm, const std::string& folder) {
  std::optional<Checkpoint> chosen;
  std::string path;
  comm.together([&] {
    if (comm.rank() == 0 && (chosen = load_checkpoint(folder))) path = chosen->folder;
  });
  path = comm.broadcast_text(path);
  if (path.empty()) return std::nullopt;
  comm.together([&] {
    if (comm.rank() != 0) chosen = read_checkpoint(path);
  });
  return chosen;
}

}  // namespace saddle
