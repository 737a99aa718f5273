// saddle launch: trainings under a scheduler's or mpirun's care, started with the right flags.
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "dist/error.h"
#include "dist/file.h"
#include "dist/launcher.h"
#include "launch/commands.h"
#include "launch/jobs/mpirun.h"
#include "launch/jobs/slurm.h"
#include "launch/run/cores.h"
#include "launch/run/open_data.h"
#include "launch/run/shell_words.h"
#include "launch/train/dry_run.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

// What is trained, by either launcher.
struct Training {
  std::string recipe, out;
  Words data, more;
  bool dry_run = false;
};

// Without a / at its end, which would hide the folder's name.
std::string absolute(const std::string& path) {
  const fs::path whole = fs::absolute(path).lexically_normal();
  return (whole.has_filename() ? whole : whole.parent_path()).string();
}

// Arguments of `saddle` but for --out and --resume: with absolute paths, as jobs start elsewhere.
Words train_words(const Training& t) {
  Words words = {"train", fs::is_regular_file(t.recipe) ? absolute(t.recipe) : t.recipe};
  if (!t.data.empty()) words.insert(words.end(), {"--data", data_text(t.data)});
  words.insert(words.end(), t.more.begin(), t.more.end());
  return words;
}

// Of `saddle train`.
Words flags_of(const Training& t) {
  Words words = train_words(t);
  words.erase(words.begin());
  words.insert(words.end(), {"--out", t.out, "--resume"});
  return words;
}

// Standard output has what was asked for and a shell understands; what it means stands beside it.
void explain(const std::string& started, const std::string& summary, const std::string& training) {
  std::cout << started << std::flush;
  std::cerr << summary << training << "nothing was started: without --dry-run it would be" << std::endl;
}

// Each of mpirun's processes would start a job of its own.
void require_single() {
  for (const auto& [variable, ranks] : launcher().ranks)
    require(ranks <= 1, Exit::usage,
            "saddle launch starts the ranks itself, but {}={}: call it plainly, not under mpirun or srun",
            variable, ranks);
}

bool in_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

std::string own_program() {
  return fs::read_symlink("/proc/self/exe").string();
}

// What `command`, of a shell, prints to both streams; its status is in `status`.
std::string output_of(const std::string& command, int& status) {
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  require(pipe != nullptr, Exit::io, "cannot start `{}`: {}", command, strerror(errno));
  std::string output;
  char buffer[1024];
  while (const size_t n = fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, n);
  const int ended = pclose(pipe);
  status = WIFEXITED(ended) ? WEXITSTATUS(ended) : 128 + WTERMSIG(ended);
  while (output.ends_with('\n')) output.pop_back();
  return output;
}

int launch_slurm(const Training& t, SlurmJob job, const std::string& site_file, const Site& flags) {
  require_single();
  Site site = site_file.empty() ? Site() : read_site(site_file);
  if (!flags.partition.empty()) site.partition = flags.partition;
  if (!flags.account.empty()) site.account = flags.account;
  if (!flags.mem.empty()) site.mem = flags.mem;
  site.sbatch.insert(site.sbatch.end(), flags.sbatch.begin(), flags.sbatch.end());
  job.launcher = !flags.launcher.empty() ? flags.launcher : !site.launcher.empty() ? site.launcher : "srun";
  validate_train(flags_of(t));
  job.run = absolute(t.out);
  job.name = job.run == "/" ? "saddle" : fs::path(job.run).filename().string();
  if (job.ranks == 0) job.ranks = std::max<int64_t>(1, job.gpus);
  job.train = train_words(t);
  job.train.insert(job.train.begin(), own_program());
  const std::string script = slurm_script(job, site);
  if (t.dry_run) {
    explain(script, slurm_summary(job, site), prove_train(flags_of(t), job.nodes * job.ranks));
    return 0;
  }
  const std::string path = job.run + "/job.sbatch";
  std::error_code error;
  fs::create_directories(job.run, error);
  require(!error, Exit::io, "cannot make '{}': {}", job.run, error.message());
  write_file(path, script);
  require(
      in_path("sbatch"), Exit::usage,
      "there is no sbatch here, so nothing was submitted: the script lies in '{0}': `sbatch {0}` on a login "
      "node of the cluster; without Slurm, `saddle launch mpi`",
      path);
  int status = 0;
  const std::string answer = output_of("sbatch --parsable " + quoted(path), status);
  require(status == 0, Exit::usage, "sbatch refused '{}' with status {}: {}", path, status, answer);
  const std::string id = answer.substr(answer.rfind('\n') + 1);
  std::cout << fmt::format(
      "submitted job {}: {} node{} with {} rank{} each, by {}{}\n  script  {}\n  log     {}/slurm-{}.log\n"
      "  save and go on later: scancel --batch --signal=USR1 {}    end: scancel {}\n",
      id, job.nodes, job.nodes == 1 ? "" : "s", job.ranks, job.ranks == 1 ? "" : "s", job.launcher,
      job.array.empty() ? "" : ", array " + job.array, path, job.run, job.array.empty() ? id : id + "_*", id,
      id);
  return 0;
}

struct MpiFlags {
  int64_t ranks = 1, cpus = 0;
  std::string hostfile;
};

std::string mpi_summary(const MpiFlags& flags) {
  const std::string cores = flags.cpus > 0 ? fmt::format("{} a rank, bound", flags.cpus)
                                           : "ranks are not bound to any (--cpus-per-rank)";
  return fmt::format("{:<12} {} rank{} {}\n{:<12} {}\n", "job", flags.ranks, flags.ranks == 1 ? "" : "s",
                     flags.hostfile.empty() ? "on this machine" : "on the hosts of " + flags.hostfile,
                     "cores", cores);
}

int launch_mpi(const Training& t, const MpiFlags& flags) {
  require_single();
  validate_train(flags_of(t));
  require(flags.hostfile.empty() || fs::exists(flags.hostfile), Exit::usage, "there is no hostfile '{}'",
          flags.hostfile);
  if (!flags.hostfile.empty()) require_plain(flags.hostfile);
  Words words = {"mpirun", "-n", std::to_string(flags.ranks)};
  if (!flags.hostfile.empty()) words.insert(words.end(), {"--hostfile", flags.hostfile});
  if (flags.cpus > 0)
    words.insert(words.end(), {"--map-by", fmt::format("slot:pe={}", flags.cpus), "--bind-to", "core"});
  else
    words.insert(words.end(), {"--bind-to", "none"});
  // Hosts of a hostfile, or of a job, say themselves how many ranks they take. mpirun counts cores here,
  // which may have two threads each.
  const bool here = flags.hostfile.empty() && !std::getenv("SLURM_JOB_ID");
  if (here && 2 * flags.ranks > static_cast<int64_t>(allowed_cores().size()))
    words.push_back("--oversubscribe");
  words.push_back(own_program());
  const Words train = train_words(t);
  words.insert(words.end(), train.begin(), train.end());
  words.insert(words.end(), {"--out", absolute(t.out), "--resume"});
  if (t.dry_run) {
    explain(quoted(words) + "\n", mpi_summary(flags), prove_train(flags_of(t), flags.ranks));
    return 0;
  }
  require_mpirun();
  std::cout << quoted(words) << std::endl;
  return run_mpirun(words);
}

void describe(CLI::App* sub, Training& t) {
  sub->add_option("recipe", t.recipe, "Recipe: a TOML file or a built-in name")->required();
  sub->add_option("train-flags", t.more, "After --: further flags of `saddle train`");
  // One value a flag: else `--` would end its values instead of the flags.
  sub->add_option("--data", t.data, "As of `saddle train`")->allow_extra_args(false);
  sub->add_option("--out", t.out, "Run folder; a run that is there is gone on with")->required();
  sub->add_flag("--dry-run", t.dry_run, "Print what would be started and what it would do; start nothing");
}

void add_slurm(CLI::App* parent, Command& chosen) {
  struct Flags {
    Training training;
    SlurmJob job;
    Site site;
    std::string site_file;
  };
  auto flags = std::make_shared<Flags>();
  flags->job.ranks = 0;
  CLI::App* sub = parent->add_subcommand(
      "slurm",
      "Write RUN/job.sbatch and submit it: a job that saves before its time limit or preemption, is "
      "requeued and goes on");
  describe(sub, flags->training);
  SlurmJob& job = flags->job;
  sub->add_option("--nodes", job.nodes, "Nodes (default 1)")->check(CLI::PositiveNumber);
  sub->add_option("--gpus-per-node", job.gpus, "GPUs of each node")->check(CLI::PositiveNumber);
  sub->add_option("--ranks-per-node", job.ranks, "Default: one a GPU, or one")->check(CLI::PositiveNumber);
  sub->add_option("--cpus-per-rank", job.cpus, "Cores of its own for each rank; default: ranks are not bound")
      ->check(CLI::PositiveNumber);
  sub->add_option("--mem", flags->site.mem, "Memory of each node, such as 64G; 0: all of it");
  sub->add_option("--time", job.time, "Time limit of one start: 30m, 12h, HH:MM:SS or D-HH:MM:SS");
  sub->add_option("--notice", job.notice, "Seconds before the limit to save and be requeued (default 120)")
      ->check(CLI::Range(1, 65535));
  sub->add_option("--array", job.array,
                  "Numbers such as 0-7: a training each, with that seed, in OUT/seed-N");
  sub->add_option("--launcher", flags->site.launcher, "srun (default; with PMIx) or mpirun inside the job")
      ->check(CLI::IsMember({"srun", "mpirun"}));
  sub->add_option("--partition", flags->site.partition, "Partition");
  sub->add_option("--account", flags->site.account, "Account");
  sub->add_option("--sbatch", flags->site.sbatch,
                  "A further option of sbatch: --sbatch=--exclusive; repeatable")
      ->allow_extra_args(false);
  sub->add_option("--site", flags->site_file,
                  "What this cluster needs: a file such as those in cluster/sites");
  sub->callback([flags, &chosen] {
    chosen = [flags] { return launch_slurm(flags->training, flags->job, flags->site_file, flags->site); };
  });
}

void add_mpi(CLI::App* parent, Command& chosen) {
  struct Flags {
    Training training;
    MpiFlags mpi;
  };
  auto flags = std::make_shared<Flags>();
  CLI::App* sub = parent->add_subcommand(
      "mpi", "Run mpirun with the right flags, here or on the hosts of a file; Ctrl-C saves");
  describe(sub, flags->training);
  sub->add_option("-n,--ranks", flags->mpi.ranks, "Ranks (default 1)")->check(CLI::PositiveNumber);
  sub->add_option("--hostfile", flags->mpi.hostfile, "Hosts and slots, as cluster/hostfile");
  sub->add_option("--cpus-per-rank", flags->mpi.cpus,
                  "Cores of its own for each rank; default: ranks are not bound")
      ->check(CLI::PositiveNumber);
  sub->callback([flags, &chosen] { chosen = [flags] { return launch_mpi(flags->training, flags->mpi); }; });
}

}  // namespace

void add_launch(CLI::App& app, Command& chosen) {
  CLI::App* sub = app.add_subcommand("launch", "Start a training as a Slurm job or under mpirun");
  sub->require_subcommand(1);
  add_slurm(sub, chosen);
  add_mpi(sub, chosen);
}

}  // namespace saddle
