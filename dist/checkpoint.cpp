#include "dist/checkpoint.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/flight.h"
#include "dist/json.h"
#include "dist/log.h"
#include "dist/manifest.h"
#include "dist/safetensors.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kBeingWritten = ".tmp";  // after a folder's name
constexpr const char* kBeingRemoved = ".old";

std::string step_name(int64_t step) {
  return fmt::format("step-{:010}", step);
}

using Found = std::vector<std::pair<int64_t, fs::path>>;  // published checkpoints by step, oldest first

Found published(const std::string& folder) {
  Found found;
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

// The tensors this rank writes: each, largest first, goes to the rank with the least so far. Copies, on the
// host.
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
    if (lightest - load.begin() == comm.rank()) {
      const torch::Tensor& live = state.tensors.at(name);
      mine[name] =
          live.detach().to(live.options().device(torch::kCPU), /*non_blocking=*/false, /*copy=*/true);
    }
  }
  return mine;
}

// What is written of this rank's file: the manifest's entry, or {"error": why}.
std::string write_share(const std::string& path, const std::map<std::string, torch::Tensor>& tensors) try {
  const int64_t bytes = write_safetensors(path, tensors);
  return json{{"file", fs::path(path).filename()}, {"bytes", bytes}, {"xxh3_128", hash_file(path)}}.dump();
} catch (const std::exception& e) {
  return json{{"error", e.what()}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string utc_now() {
  const std::time_t now = std::time(nullptr);
  std::tm time{};
  gmtime_r(&now, &time);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &time)};
}

void publish(const fs::path& temporary, const fs::path& target, json manifest) {
  manifest["xxh3_128"] = hash_text(manifest.dump());
  write_file((temporary / kManifest).string(), manifest.dump(1));  // and syncs the folder
  std::error_code error;
  fs::rename(temporary, target, error);
  require(!error, Exit::io, "cannot publish checkpoint '{}': {}", target.string(), error.message());
  sync_folder(target.parent_path().string());
}

Checkpoint read_checkpoint(const fs::path& folder, const json& manifest) {
  Checkpoint checkpoint{.step = integer_at(manifest, "step"),
                        .state = {},
                        .about = manifest.at("about"),
                        .folder = folder.string()};
  require(step_name(checkpoint.step) == folder.filename(), Exit::data, "'{}' is of step {}", folder.string(),
          checkpoint.step);
  for (const json& file : manifest.at("files")) {
    const std::string path = sized_file(folder, file);
    read_safetensors(path, [](const std::string&) { return false; });  // its header, before all is read
    require(hash_file(path) == text_at(file, "xxh3_128"), Exit::data, "'{}' is damaged: its checksum differs",
            path);
    checkpoint.state.tensors.merge(read_safetensors(path));
  }
  for (const auto& [name, value] : manifest.at("numbers").items()) checkpoint.state.numbers[name] = value;
  if (const auto own = checkpoint.state.numbers.find("step"); own != checkpoint.state.numbers.end())
    require(own->second == checkpoint.step, Exit::data, "'{}' is of step {}, its state of step {}",
            folder.string(), checkpoint.step, excerpt(own->second));
  const auto tensors = int64_t(checkpoint.state.tensors.size());
  require(tensors == integer_at(manifest, "tensors"), Exit::data,
          "'{}' holds {} tensors, its manifest says {}", folder.string(), tensors,
          integer_at(manifest, "tensors"));
  return checkpoint;
}

Checkpoint read_checkpoint(const fs::path& folder) {
  return read_checkpoint(folder, read_manifest(folder));
}

// The step of the lowest score; -1 if none has one.
int64_t best_of(const Found& found) {
  std::optional<double> lowest;
  int64_t best = -1;
  for (const auto& [step, path] : found) {
    try {
      const json score = read_manifest(path).value("score", json());
      if (!score.is_number() || (lowest && score.get<double>() > *lowest)) continue;
      lowest = score.get<double>();
      best = step;
    } catch (const Error&) {  // damaged
    }
  }
  return best;
}

// The checkpoints that the retention does not keep, now that `newest` is saved. Later ones are of a past that
// was not gone on with, damaged most likely: they count for nothing, and go when their step is saved again.
std::vector<fs::path> superfluous(const std::string& folder, const Retention& retention, int64_t newest) {
  Found found = published(folder);
  std::erase_if(found, [&](const auto& checkpoint) { return checkpoint.first > newest; });
  const int64_t best = retention.best ? best_of(found) : -1;
  std::vector<fs::path> out;
  for (size_t i = 0; i + static_cast<size_t>(retention.newest) < found.size(); ++i) {
    const auto& [step, path] = found[i];
    const bool milestone = retention.milestones > 0 && step % retention.milestones == 0;
    if (!milestone && step != best) out.push_back(path);
  }
  return out;
}

// Renamed at once, so that half of it is never taken for a whole: the name to remove.
std::string set_aside(const std::string& path, std::error_code& error) {
  if (path.ends_with(kBeingRemoved)) return path;
  const std::string doomed = path + kBeingRemoved;
  fs::remove_all(doomed, error);
  fs::rename(path, doomed, error);
  return doomed;
}

}  // namespace

Checkpointer::Checkpointer(Comm comm, std::string folder, Retention retention)
    : comm_(std::move(comm)), folder_(std::move(folder)), retention_(retention) {
  if (comm_.rank() == 0)
    for (const std::string& path : leftovers(folder_)) remove_later(path);
}

Checkpointer::~Checkpointer() = default;

void Checkpointer::begin(const Checkpoint& checkpoint, std::optional<double> score) {
  require(!begun_, Exit::bug, "the save before is not finished");
  start_ = trace::now();
  begun_ = true;
  failure_.clear();
  target_ = (fs::path(folder_) / step_name(checkpoint.step)).string();
  const std::string temporary = target_ + kBeingWritten;
  manifest_ = {{"format", kCheckpointFormat},
               {"step", checkpoint.step},
               {"time", utc_now()},
               {"score", score ? json(*score) : json()},
               {"world_size", comm_.size()},
               {"tensors", checkpoint.state.tensors.size()},
               {"numbers", checkpoint.state.numbers},
               {"about", checkpoint.about},
               {"files", json::array()}};
  try {
    comm_.together([&] {
      if (comm_.rank() == 0) fs::create_directories(temporary);
    });
  } catch (const Error& e) {
    failure_ = e.what();
    blocked_ = trace::now() - start_;
    return;
  }
  auto done = std::make_shared<std::promise<std::string>>();
  share_ = done->get_future();
  path_ = fmt::format("{}/state-{:05}-of-{:05}.safetensors", temporary, comm_.rank(), comm_.size());
  worker_.give([done, path = path_, tensors = share(comm_, checkpoint.state)] {
    done->set_value(write_share(path, tensors));
  });
  blocked_ = trace::now() - start_;
}

bool Checkpointer::written() const {
  return !share_.valid() || share_.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

std::optional<std::string> Checkpointer::finish() {
  if (!begun_) return {};
  const double start = trace::now();
  begun_ = false;
  try {
    if (failure_.empty()) {
      const std::vector<std::string> files = comm_.all_gather_text(wait_for_share(), "checkpoint");
      comm_.together([&] {
        if (comm_.rank() != 0) return;
        for (int r = 0; r < comm_.size(); ++r) {
          const json file = json::parse(files[size_t(r)]);
          require(!file.contains("error"), Exit::io, "rank {}: {}", r, file.value("error", ""));
          manifest_["files"].push_back(file);
        }
        if (fs::exists(target_)) remove_later(target_);  // damaged, so that its step was done again
        publish(target_ + kBeingWritten, target_, manifest_);
      });
    }
  } catch (const Error& e) {
    failure_ = e.what();
  }
  if (comm_.rank() == 0) {
    if (!failure_.empty())
      remove_later(target_ + kBeingWritten);
    else
      for (const fs::path& path : superfluous(folder_, retention_, manifest_.at("step").get<int64_t>()))
        remove_later(path.string());
  }
  blocked_ += trace::now() - start;
  seconds_ = trace::now() - start_;
  return failure_.empty() ? std::nullopt : std::optional(failure_);
}

// A slow disk is no hang: as long as the file grows, this rank gets on.
std::string Checkpointer::wait_for_share() {
  uintmax_t size = 0;
  while (share_.wait_for(std::chrono::seconds(1)) != std::future_status::ready) {
    std::error_code none;
    const uintmax_t now = fs::file_size(path_, none);
    if (std::exchange(size, now) != now) flight::touch();
  }
  return share_.get();
}

// The thread takes its time.
void Checkpointer::remove_later(const std::string& path) {
  std::error_code error;
  const std::string doomed = set_aside(path, error);
  if (!error)
    worker_.give([doomed] {
      std::error_code left;
      fs::remove_all(doomed, left);
      if (left) log::warn("cannot remove '{}': {}", doomed, left.message());
    });
}

void save_checkpoint(const Comm& comm, const std::string& folder, const Checkpoint& checkpoint,
                     const Retention& retention) {
  Checkpointer checkpointer(comm, folder, retention);
  checkpointer.begin(checkpoint);
  if (const auto failure = checkpointer.finish()) fail(Exit::io, "{}", *failure);
}

std::optional<Checkpoint> load_checkpoint(const std::string& folder, int64_t until) {
  auto found = published(folder);
  std::erase_if(found, [&](const auto& checkpoint) { return checkpoint.first > until; });
  for (auto candidate = found.rbegin(); candidate != found.rend(); ++candidate) {
    try {
      return read_checkpoint(candidate->second);
    } catch (const TooNew&) {
      throw;  // going on from an older one would undo what a newer program has done
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

std::optional<Checkpoint> load_checkpoint(const Comm& comm, const std::string& folder, int64_t until) {
  std::optional<Checkpoint> chosen;
  std::string path;
  comm.together([&] {
    if (comm.rank() == 0 && (chosen = load_checkpoint(folder, until))) path = chosen->folder;
  });
  path = comm.broadcast_text(path);
  if (path.empty()) return std::nullopt;
  comm.together([&] {
    if (comm.rank() != 0) chosen = read_checkpoint(path);
  });
  return chosen;
}

void remove_checkpoints_after(const std::string& folder, int64_t step) {
  for (const auto& [at, path] : published(folder)) {
    if (at <= step) continue;
    std::error_code error;
    const std::string doomed = set_aside(path.string(), error);
    if (!error) fs::remove_all(doomed, error);
    require(!error, Exit::io, "cannot remove '{}': {}", path.string(), error.message());
  }
}

std::vector<Published> list_checkpoints(const std::string& folder, bool verify) {
  std::vector<Published> out;
  for (const auto& [step, path] : published(folder)) {
    Published& each = out.emplace_back();
    each.step = step;
    each.folder = path.string();
    try {
      each.manifest = read_manifest(path);
      for (const json& file : each.manifest.at("files")) {
        sized_file(path, file);
        each.bytes += integer_at(file, "bytes");
      }
      if (verify) read_checkpoint(path, each.manifest);
    } catch (const std::exception& e) {
      each.damage = e.what();
    }
  }
  return out;
}

std::vector<std::string> leftovers(const std::string& folder) {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    const std::string kind = entry.path().extension();
    if (entry.path().filename().string().starts_with("step-") &&
        (kind == kBeingWritten || kind == kBeingRemoved))
      found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace saddle
