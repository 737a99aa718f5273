// Several trainers in one job: whose ranks are whose, where each keeps its run, and from which step all go
// on.
#pragma once

#include <optional>
#include <string>

#include "dist/checkpoint.h"

namespace saddle {

// The ranks of a job, divided among its trainers in order of rank.
struct Teams {
  int count, mine;  // trainers; this rank's
  Comm all;         // ranks of the job, on the host
  Comm host, comm;  // this trainer's ranks: on the host, on the device
  Comm across;      // on the host: of each trainer the rank with this one's place in it, by trainer
};
// Exit::usage if so many ranks do not divide into `trainers` equal parts.
void require_equal_teams(int64_t ranks, int trainers);
// Collective. Exit::usage if the ranks do not divide.
Teams divide(const Comm& host, const Comm& comm, int trainers);

// Trainer `trainer`'s run folder in the folder of the job; that one itself if there is but one trainer.
std::string trainer_folder(const std::string& out, int trainer, int trainers);
std::string tournament_file(const std::string& out);
// Of the run in this folder; 0: there is none.
int trainers_of(const std::string& out);
// Exit::usage if the folder holds a run of another number of trainers.
void require_trainers(const std::string& out, int trainers);
// On one rank. Notes the number of several trainers in the tournament's file.
void claim_folder(const std::string& out, int trainers);

// Collective over all ranks, each with its trainer's folder of checkpoints: the newest that every trainer
// holds whole, as a kill may have left one of them behind. Newer ones are removed: the training goes over
// these steps again. Nothing if a trainer has none; Exit::data if they have none in common.
std::optional<Checkpoint> load_common_checkpoint(const Teams& teams, const std::string& folder);

}  // namespace saddle
