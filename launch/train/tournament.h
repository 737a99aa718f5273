// Tournaments among the trainers of one job (LTFB: Jacobs et al. 2017, "Towards Scalable Parallel Training of
// Deep Neural Networks", section 3): every K steps trainers meet in pairs, exchange generators, judge both by
// a metric, and each goes on with the better one. Discriminators stay at home.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "launch/evaluate/metric.h"
#include "launch/run/train_options.h"
#include "launch/train/teams.h"

namespace saddle {

// Who meets whom in a round, by trainer: a random matching, a function of seed and round alone. Of an odd
// number one trainer sits out: it is its own partner.
std::vector<int> matching(uint64_t seed, int64_t round, int trainers);

// Collective over `comm`: rank `root`'s state, on the host. `mine` has its names, shapes and dtypes.
State state_of(const Comm& comm, int root, const State& mine);

class Tournament {
 public:
  struct Options {
    int64_t every = 1000;  // steps
    uint64_t seed = 0;     // the same for all trainers
  };
  // Collective over all ranks. `system` is this trainer's and must outlive the tournament; the measurement is
  // of one metric, its ranks are teams.comm.
  Tournament(const Teams& teams, System& system, Measurement measurement, Options options);

  struct Round {
    int64_t number;
    int partner;           // itself: it sat out, and the rest means nothing
    double own, partners;  // scores of the two generators, as this trainer judges them
    bool takes;            // the partner's generator: weights, averages, buffers, optimizer
  };
  bool due(int64_t step) const { return step % options_.every == 0; }
  // Collective over all ranks, after step `step`, which must be due. Says on the console who met whom.
  Round play(int64_t step);

  // Collective over all ranks. Every trainer judges every generator; a generator's score is their mean.
  struct Standing {
    int best;
    std::vector<double> scores;  // by trainer
  };
  Standing standing();
  const Metric& metric() const { return measurement_.metrics().front(); }

 private:
  State generator();  // refers to the live tensors
  void become(const State& state);
  double score(const State& generator, const Drawing& drawing);
  Drawing drawing(const std::string& purpose, int64_t round) const;
  void announce(int64_t step, const Round& round, const std::vector<int>& partners) const;

  Teams teams_;
  System& system_;
  Measurement measurement_;
  Options options_;
  std::set<std::string> nets_;  // of the generator
};

// Of a log's line.
nlohmann::json to_json(const Tournament::Round& round, const Teams& teams);

// Collective over all ranks. As the options of the run say; `seed` is the first trainer's. Exit::usage if the
// metric does not fit system and data.
std::unique_ptr<Tournament> make_tournament(const Teams& teams, System& system, const Run& run,
                                            uint64_t seed);

// Collective over all ranks. Judges all generators and leaves in OUT/tournament.json who is best.
void conclude(Tournament& tournament, const Teams& teams, const std::string& out, int64_t step);

}  // namespace saddle
