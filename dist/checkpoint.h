// Coordinated checkpoints: every rank writes its share of the state, all agree, one rename publishes.
// CHECKPOINT.md gives the format. Loading does not depend on the number of ranks that saved.
#pragma once

#include <cstdint>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "dist/comm.h"
#include "dist/state.h"
#include "dist/worker.h"

namespace saddle {

struct Checkpoint {
  int64_t step = 0;
  State state;
  nlohmann::json about;  // what the saver said of the run: system, options, data set, versions
  std::string folder;    // it was read from
};

// Which published checkpoints stay. The newest always does.
struct Retention {
  int64_t newest = 3;      // >= 1
  int64_t milestones = 0;  // and those whose step is a multiple of it; 0: none
  bool best = false;       // and the one of the lowest score
};

// Saves while training goes on. MPI is called by the thread that calls `begin` and `finish` only; a thread of
// its own does the files.
class Checkpointer {
 public:
  // The state is equal on all ranks of `comm`; tensors are divided among them by bytes. Rank 0 removes what
  // killed saves have left in the folder.
  Checkpointer(Comm comm, std::string folder, Retention retention);
  ~Checkpointer();  // waits for its thread; what is not finished stays unpublished

  // Collective. Copies this rank's share of the state aside, in host memory, and returns while it is being
  // written: what changes in the state afterwards is not saved. The save before must be finished. `score`:
  // lower is better.
  void begin(const Checkpoint& checkpoint, std::optional<double> score = {});
  bool pending() const { return begun_; }
  bool written() const;  // this rank's share; well or badly. True if nothing is pending.
  // Collective. Waits until all ranks have written, publishes `folder`/step-XXXXXXXXXX and removes what the
  // retention does not keep. On failure, of whatever rank, nothing is published or removed but what was
  // begun; the reason.
  std::optional<std::string> finish();

  // Of the save that was finished last: from `begin` to published, and how much of it `begin` and `finish`
  // took.
  double seconds() const { return seconds_; }
  double blocked() const { return blocked_; }

 private:
  std::string wait_for_share();
  void remove_later(const std::string& path);

  Comm comm_;
  std::string folder_;
  Retention retention_;
  nlohmann::json manifest_;              // of the pending one, but for its files
  std::string target_, path_, failure_;  // folder, this rank's file in it, and what went wrong
  std::future<std::string> share_;       // what the thread says of this rank's file, as it travels to rank 0
  bool begun_ = false;
  double start_ = 0, seconds_ = 0, blocked_ = 0;
  Worker worker_;
};

// Collective. Begins and finishes one. On failure all ranks throw Exit::io and nothing is published.
void save_checkpoint(const Comm& comm, const std::string& folder, const Checkpoint& checkpoint,
                     const Retention& retention);

// Collective. The newest published checkpoint that is whole, the same on every rank; warns of damaged newer
// ones and falls back. Nothing if there is none; Exit::data if there are some and none is whole, or if one is
// of a format newer than this program. None of a step after `until` is looked at.
std::optional<Checkpoint> load_checkpoint(const Comm& comm, const std::string& folder,
                                          int64_t until = INT64_MAX);
// The same for a process of its own, with no other rank.
std::optional<Checkpoint> load_checkpoint(const std::string& folder, int64_t until = INT64_MAX);
// On one rank. Those of later steps; Exit::io.
void remove_checkpoints_after(const std::string& folder, int64_t step);

// A published checkpoint, as it lies on the disk.
struct Published {
  int64_t step = 0;
  std::string folder;
  nlohmann::json manifest;  // CHECKPOINT.md; null if it is damaged itself
  int64_t bytes = 0;        // of its files
  std::string damage;       // what is wrong with it; empty: nothing that was looked for
};
// Oldest first. Looks at manifests and sizes; with `verify` at all that loading looks at.
std::vector<Published> list_checkpoints(const std::string& folder, bool verify);
// What saves and removals that were killed have left in it: folders that no loading looks at.
std::vector<std::string> leftovers(const std::string& folder);

}  // namespace saddle
