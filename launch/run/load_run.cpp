#include "launch/run/load_run.h"

#include <algorithm>
#include <filesystem>

#include "dist/error.h"
#include "dist/file.h"
#include "launch/run/choose_step.h"
#include "launch/run/run_folder.h"

namespace saddle {

void visit_run(StateVisitor& visitor, int64_t& step, int64_t& position, System& system) {
  visitor.number("step", step);
  visitor.number("loader.position", position);
  system.visit(visitor);
}

namespace {

// Nets are as large as the schema asks, and the checkpoint holds their weights: it cannot ask for any size.
void require_plausible(const Schema& schema, const Checkpoint& checkpoint) {
  constexpr int64_t kSmall = 1 << 20, kTimes = 64;
  int64_t bytes = 0;
  for (const auto& [name, tensor] : checkpoint.state.tensors) bytes += int64_t(tensor.nbytes());
  for (const Field& field : schema.fields)
    require(
        field.classes <= std::max(kSmall, bytes) && field.elements() <= std::max(kSmall, kTimes * bytes),
        Exit::data,
        "'{}' is damaged: it holds {} bytes of tensors, and its schema asks for nets of {}: restore it, or "
        "pass the --step of another",
        checkpoint.folder, bytes, describe(schema));
}

}  // namespace

std::unique_ptr<LoadedRun> load_run(const std::string& folder, const Comm& comm, const std::string& step) {
  auto loaded = std::make_unique<LoadedRun>();
  const RunFolder place(folder);
  std::optional<Checkpoint> checkpoint;
  comm.together([&] {
    require(!std::filesystem::exists(folder + "/trainer-0"), Exit::usage,
            "'{0}' holds the runs of several trainers: pass one of them, such as '{0}/trainer-0'; "
            "{0}/tournament.json names the best",
            folder);
    require(std::filesystem::exists(place.options()), Exit::usage,
            "'{}' holds no run (no options.toml): pass the folder given to `saddle train --out`", folder);
    loaded->run.resolve(read_file(place.options(), kMostTextBytes), place.options(), {});
  });
  checkpoint = load_chosen(comm, place.checkpoints(), step);
  comm.together([&] {
    require(checkpoint.has_value(), Exit::usage,
            "'{}' has no checkpoint yet: wait for the first, or train with a smaller checkpoint.every",
            folder);
  });
  loaded->about = std::move(checkpoint->about);
  comm.together([&] { require_plausible(loaded->schema(), *checkpoint); });
  loaded->system = std::make_unique<System>(loaded->run.build(loaded->schema(), loaded->run.context(comm)));
  int64_t position = 0;
  restore([&](StateVisitor& visitor) { visit_run(visitor, loaded->step, position, *loaded->system); },
          checkpoint->state);
  return loaded;
}

}  // namespace saddle
