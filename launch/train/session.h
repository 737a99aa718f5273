// One training run, from its folder's making to its last checkpoint: drives the trainer with its ticks,
// pictures, checkpoints, and ends where a signal or the clock asks it to.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "dist/checkpoint.h"
#include "dist/error.h"
#include "dist/trace.h"
#include "launch/run/progress.h"
#include "launch/run/run_folder.h"
#include "launch/run/run_lock.h"
#include "launch/run/stopping.h"
#include "launch/train/tournament.h"
#include "launch/train/watching.h"

namespace saddle {

constexpr double kSetup = 10;  // times watch.timeout: the limit of what is not a step

class Session {
 public:
  struct Setup {
    Run& run;
    RunFolder& folder;
    Trainer& trainer;
    std::shared_ptr<Dataset> data;
    nlohmann::json about;  // goes into checkpoints
    TraceSteps trace;
    Comm host;                       // all ranks of the job, on the cpu
    RunLock* lock = nullptr;         // on the rank that holds it
    std::optional<double> max_time;  // seconds from the process's start
    const Teams& teams;
    Tournament* tournament = nullptr;          // of several trainers
    const Measurement* measurement = nullptr;  // while training: metrics.every
  };
  explicit Session(Setup setup);

  // Collective. Exit::ok; Exit::again if it was asked to stop before the last step; Exit::io if its last
  // checkpoint could not be saved.
  Exit loop();

 private:
  void step();
  void round();
  void measure();
  void tick(Progress& progress);
  int64_t substituted() const;
  void picture();
  void first_pictures();
  void draw(const std::function<void(const Drawing&)>& work);
  void begin_checkpoint();
  void finish_checkpoint();
  std::optional<std::string> of_all_trainers(const std::optional<std::string>& failure) const;
  std::optional<double> score() const;
  bool highest_is_best() const;
  void say_stopped(const Agreement::Flags& agreed) const;

  // What takes time, and is no part of the steps' rate.
  template <class Work>
  double outside_tick(Work work) {
    const double start = trace::now();
    work();
    const double seconds = trace::now() - start;
    tick_start_ += seconds;
    return seconds;
  }

  Setup setup_;
  const TrainOptions& options_;
  Trainer& trainer_;
  Watching watching_;
  Agreement agreement_;
  Deadline deadline_;
  Checkpointer checkpointer_;
  bool unsaved_ = false;                        // the last checkpoint has failed
  double step_seconds_ = 0, save_seconds_ = 0;  // the longest so far
  int64_t saving_ = 0;                          // step of the checkpoint that was begun last
  nlohmann::json saved_ =
      nlohmann::json::array();  // for the log's next line: the checkpoints finished since the last
  std::vector<Moments> stats_;  // of the last tick
  std::map<std::string, double> measured_;  // by name, such as metrics/fd, of the last measurement
  int64_t measured_step_ = -1;
  double measuring_ = 0;  // seconds since the last tick
  int64_t tick_step_ = trainer_.steps();
  double waited_ = 0;
  int64_t substituted_ = 0;
  double tick_start_ = 0;
};

}  // namespace saddle
