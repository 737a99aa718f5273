// saddle launch: the scripts and commands it makes, and what it refuses to start. tests/launch/slurm.sh runs
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "dist/file.h"
#include "launch/slurm.h"
#include "tests/data/folder.h"
#include "tests/support/shell.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using test::Folder;
using test::Result;
using test::shell;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

SlurmJob job_of_two_nodes() {
  SlurmJob job;
  job.name = job.run = "/runs/my run";
  job.train = {"/bin/saddle", "train", "dcgan", "--set", "crop=it's"};
  job.nodes = 2;
  job.ranks = job.gpus = 8;
  job.cpus = 4;
  job.time = "1d";
  return job;
}

// Whether bash takes it for a script; without Slurm nothing more of it can be run.
void expect_script(const std::string& text) {
  const Folder folder;
  write_file(folder / "job", text);
  const Result checked = shell("bash -n " + (folder / "job"));
  EXPECT_EQ(checked.status, 0) << checked.output << text;
  EXPECT_THAT(text, Not(HasSubstr("{{"))) << "all words are filled in";
}

TEST(SlurmScript, SaysWhatTheJobNeeds) {
  const std::string text = slurm_script(job_of_two_nodes(), {});
  expect_script(text);
  for (const char* line :
       {"#SBATCH --nodes=2\n", "#SBATCH --ntasks-per-node=8\n", "#SBATCH --gpus-per-node=8\n",
        "#SBATCH --cpus-per-task=4\n", "#SBATCH --time=1-00:00:00\n", "#SBATCH --signal=B:USR1@120\n",
        "#SBATCH --requeue\n", "#SBATCH --open-mode=append\n",
        "#SBATCH '--output=/runs/my run/slurm-%j.log'\n", "'crop=it'\\''s' --out '/runs/my run' --resume)\n",
        "launch=(srun --mpi=pmix --gpu-bind=none --distribution=block:block --cpus-per-task=4 "
        "--cpu-bind=cores)"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("launch=(mpirun")));
}

TEST(SlurmScript, MpirunTakesTheSitesEnvironmentAlong) {
  const Folder folder;
  write_file(folder / "site.toml",
             "account = 'me'\nsbatch = '--exclusive -C a100'\nmpirun = '--mca a b'\nsetup = '''\nmodule load "
             "x\n'''\n"
             "[environment]\nNCCL_SOCKET_IFNAME = 'ib 0'\n");
  SlurmJob job = job_of_two_nodes();
  job.launcher = "mpirun";
  const std::string text = slurm_script(job, read_site(folder / "site.toml"));
  expect_script(text);
  for (const char* line : {"#SBATCH --account=me\n", "#SBATCH --exclusive\n#SBATCH -C\n#SBATCH a100\n",
                           "\nmodule load x\n", "export NCCL_SOCKET_IFNAME='ib 0'\n",
                           "--map-by ppr:8:node:pe=4 --bind-to core -x NCCL_SOCKET_IFNAME --mca a b)"})
    EXPECT_THAT(text, HasSubstr(line));
  EXPECT_THAT(text, Not(HasSubstr("launch=(srun")));
}

TEST(SlurmScript, AnArraysTasksHaveSeedsAndFoldersOfTheirOwn) {
  SlurmJob job = job_of_two_nodes();
  job.array = "0-7%2";
  const std::string text = slurm_script(job, {});
  expect_script(text);
  EXPECT_THAT(text, AllOf(HasSubstr("#SBATCH --array=0-7%2\n"), HasSubstr("slurm-%A_%a.log"),
                          HasSubstr("--out '/runs/my run'/seed-$SLURM_ARRAY_TASK_ID --set "
                                    "seed=$SLURM_ARRAY_TASK_ID --resume)")));
}

TEST(SlurmScript, WhatCannotBeIsRefused) {
  SlurmJob job = job_of_two_nodes();
  job.array = "0-7; rm";
  EXPECT_THAT(error_of([&] { slurm_script(job, {}); }), HasSubstr("--array expects numbers"));
  job = job_of_two_nodes();
  job.time = "3m";
  EXPECT_THAT(error_of([&] { slurm_script(job, {}); }), HasSubstr("--notice"));
  const Folder folder;
  write_file(folder / "site.toml", "acount = 'me'\n");
  EXPECT_THAT(error_of([&] { read_site(folder / "site.toml"); }), HasSubstr("no key 'acount'"));
}

TEST(Site, TheExampleIsOne) {
  const Site site = read_site(SADDLE_SOURCE_DIR "/cluster/sites/example.toml");
  EXPECT_EQ(site.partition, "gpu");
  EXPECT_EQ(site.sbatch.size(), 2U);
  expect_script(slurm_script(job_of_two_nodes(), site));
}

class Launch : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    ASSERT_EQ(shell(SADDLE_BINARY " pack ring8 --samples 100 --out " + *folder_ / "ring").status, 0);
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static Result launch(const std::string& arguments, const std::string& environment = "") {
    return shell(
        fmt::format("cd {} && {} " SADDLE_BINARY " launch {}", folder_->path(), environment, arguments));
  }
  static void expect_error(const Result& result, const std::string& text) {
    EXPECT_EQ(result.status, 64) << result.output;
    EXPECT_THAT(result.output, HasSubstr(text));
  }
  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(Launch, BadRecipesAndFlagsAreRefusedBeforeAnythingIsMade) {
  for (const char* how : {"slurm", "mpi"}) {
    const auto with = [&](const std::string& rest) {
      return launch(std::string(how) + " --out run " + rest);
    };
    expect_error(with("gan-nss --data ring"), "gan-ns");
    expect_error(with("gan-ns --data ring -- --set batsh=3"), "batsh");
    expect_error(with("gan-ns --data ring -- --no-such"), "--no-such");
    expect_error(with("gan-ns --data nothing"), "saddle pack");
    expect_error(with("gan-ns"), "no data");
  }
  EXPECT_FALSE(fs::exists(*folder_ / "run"));
}

TEST_F(Launch, WithoutSlurmTheScriptIsThereAndSaysWhatToDo) {
  expect_error(
      launch("slurm gan-ns --data ring --out run -- --steps 5", "PATH=/nowhere"),
      "no sbatch here, so nothing was submitted: the script lies in '" + *folder_ / "run/job.sbatch'");
  const Result dry = launch("slurm gan-ns --data ring --out run --dry-run -- --steps 5");
  EXPECT_EQ(dry.status, 0);
  EXPECT_EQ(dry.output, read_file(*folder_ / "run/job.sbatch"));
  EXPECT_THAT(dry.output, HasSubstr(" train gan-ns --data " + *folder_ / "ring --steps 5 --out "));
}

TEST_F(Launch, SbatchsRefusalIsPassedOn) {
  fs::create_directories(*folder_ / "bin");
  write_file(*folder_ / "bin/sbatch", "#!/bin/sh\necho 'invalid account' >&2\nexit 1\n");
  fs::permissions(*folder_ / "bin/sbatch", fs::perms::owner_all);
  expect_error(launch("slurm gan-ns --data ring --out run", "PATH=$PWD/bin:$PATH"),
               "with status 1: invalid account");
}

TEST_F(Launch, MpiTrainsOnAllRanks) {
  const Result done = launch("mpi gan-ns -n 2 --data ring --out two -- --steps 2");
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_THAT(done.output, AllOf(HasSubstr("mpirun -n 2 "), HasSubstr("2 ranks on cpu")));
  expect_error(launch("mpi gan-ns -n 2 --data ring --out two --hostfile none"),
               "there is no hostfile 'none'");
}

TEST_F(Launch, UnderALauncherItWouldStartManyJobs) {
  expect_error(launch("mpi gan-ns -n 2 --data ring --out two", "OMPI_COMM_WORLD_SIZE=2"), "call it plainly");
}

TEST_F(Launch, RanksWithoutPmixAreRefusedAtOnce) {
  const Result refused =
      shell("SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=0 " SADDLE_BINARY " train gan-ns --out x");
  expect_error(refused, "SLURM_STEP_NUM_TASKS=4 tasks, but MPI's world would be 1 rank");
  expect_error(shell("PMI_SIZE=4 " SADDLE_BINARY " train gan-ns --out x"), "MPI has 1 rank");
  EXPECT_THAT(shell("SLURM_NTASKS=4 " SADDLE_BINARY " train gan-ns --out x").output, HasSubstr("no data"));
}

}  // namespace
}  // namespace saddle
