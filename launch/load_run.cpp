#include "launch/load_run.h"

#include <filesystem>

#include "dist/error.h"
#include "dist/file.h"
#include "launch/choose_step.h"
#include "launch/run_folder.h"

namespace saddle {

void visit_run(StateVisitor& visitor, int64_t& step, int64_t& position, System& system) {
  visitor.number("step", step);
  visitor.number("loader.position", position);
  system.visit(visitor);
}

std::unique_ptr<LoadedRun> load_run(const std::string& folder, const Comm& comm, const std::string& step) {
  auto loaded = std::make_unique<LoadedRun>();
  const RunFolder place(folder);
  std::optional<Checkpoint> checkpoint;
  comm.together([&] {
    require(std::filesystem::exists(place.options()), Exit::usage,
            "'{}' holds no run (no options.toml): pass the folder given to `saddle train --out`", folder);
    loaded->run.resolve(read_file(place.options()), place.options(), {});
  });
  checkpoint = load_chosen(comm, place.checkpoints(), step);
  comm.together([&] {
    require(checkpoint.has_value(), Exit::usage,
            "'{}' has no checkpoint yet: wait for the first, or train with a smaller checkpoint.every",
            folder);
  });
  loaded->about = std::move(checkpoint->about);
  loaded->system = std::make_unique<System>(loaded->run.build(loaded->schema(), loaded->run.context(comm)));
  int64_t position = 0;
  restore([&](StateVisitor& visitor) { visit_run(visitor, loaded->step, position, *loaded->system); },
          checkpoint->state);
  return loaded;
}

}  // namespace saddle
