// A crash after every single operation on files of one checkpoint's making, of a run on two ranks that also
// retires the checkpoint before: killed, and with the power cut, so that what was not synced is lost, torn or
// there. What is loaded afterwards is always one of the two checkpoints, whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>

#include "dist/checkpoint.h"
#include "dist/file.h"
#include "tests/data/folder.h"
#include "tests/support/shell.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::SizeIs;

struct Operation {
  std::string name, path, other, data;
};

std::vector<Operation> read_log(const std::string& path) {
  std::vector<Operation> found;
  std::istringstream in(read_file(path));
  for (std::string line; std::getline(in, line);) {
    Operation operation;
    size_t bytes = 0;
    std::istringstream words(line);
    words >> operation.name >> bytes;
    words.get();
    std::getline(words, operation.path, '\t');
    std::getline(words, operation.other);
    operation.data.resize(bytes);
    in.read(operation.data.data(), static_cast<std::streamsize>(bytes));
    found.push_back(operation);
  }
  return found;
}

// A file or a folder, as programs see it and as the disk has it: synced data, synced entries.
struct Node {
  bool folder = false;
  std::string data, synced;
  std::map<std::string, std::shared_ptr<Node>> entries, synced_entries;
};

// How much of what was not synced is there after the crash.
struct Crash {
  std::string name;
  bool entries;  // of folders
  double data;   // share of each file's unsynced bytes
};

class Disk {
 public:
  explicit Disk(std::string root) : root_(std::move(root)) { top_->folder = true; }

  // What is in the folder now, synced.
  void read() { read(root_, *top_); }

  void apply(const Operation& o) {
    if (o.name == "truncate" || o.name == "create") {
      std::shared_ptr<Node>& node = entry(o.path);
      if (!node) node = std::make_shared<Node>();
      if (o.name == "truncate") node->data.clear();
    } else if (o.name == "write") {
      entry(o.path)->data += o.data;
    } else if (o.name == "mkdir") {
      (entry(o.path) = std::make_shared<Node>())->folder = true;
    } else if (o.name == "fsync") {
      Node& node = o.path == root_ ? *top_ : *entry(o.path);
      node.synced = node.data;
      node.synced_entries = node.entries;
    } else if (o.name == "rename") {
      entry(o.other) = entry(o.path);
      parent(o.path).entries.erase(fs::path(o.path).filename());
    } else if (o.name == "remove") {
      parent(o.path).entries.erase(fs::path(o.path).filename());
    } else {
      FAIL() << o.name;
    }
  }

  void write(const std::string& folder, const Crash& crash) const { write(folder, *top_, crash); }

 private:
  static void read(const fs::path& path, Node& node) {
    for (const auto& entry : fs::directory_iterator(path)) {
      auto child = std::make_shared<Node>();
      child->folder = entry.is_directory();
      if (child->folder)
        read(entry.path(), *child);
      else
        child->data = child->synced = read_file(entry.path());
      node.entries[entry.path().filename()] = child;
    }
    node.synced_entries = node.entries;
  }
  static void write(const fs::path& path, const Node& node, const Crash& crash) {
    fs::create_directories(path);
    for (const auto& [name, child] : crash.entries ? node.entries : node.synced_entries) {
      if (child->folder) {
        write(path / name, *child, crash);
        continue;
      }
      // Bytes only ever come to the end.
      const size_t unsynced =
          child->data.size() > child->synced.size() ? child->data.size() - child->synced.size() : 0;
      const bool rewritten = !child->data.starts_with(child->synced);
      const std::string& all = child->data;
      std::ofstream(path / name, std::ios::binary)
          << (rewritten ? all.substr(0, size_t(crash.data * double(all.size())))
                        : all.substr(0, child->synced.size() + size_t(crash.data * double(unsynced))));
    }
  }
  Node& parent(const std::string& path) {
    Node* node = top_.get();
    for (const fs::path& part : fs::path(path).parent_path().lexically_relative(root_))
      if (part != ".") node = node->entries.at(part).get();
    return *node;
  }
  std::shared_ptr<Node>& entry(const std::string& path) {
    return parent(path).entries[fs::path(path).filename()];
  }

  std::string root_;
  std::shared_ptr<Node> top_ = std::make_shared<Node>();
};

TEST(Crash, AfterAnyOperationOfACheckpointLeavesAWholeOne) {
  const test::Folder folder;
  const std::string run = folder / "run", checkpoints = run + "/checkpoints", log = folder / "log";
  const auto ok = [](const std::string& command) {
    const test::Result result = test::shell(command);
    ASSERT_EQ(result.status, 0) << result.output;
  };
  const auto train = [&](const std::string& environment, int steps) {
    ok(fmt::format(
        "{} {} {} train gan-ns --data {} --out {} --set batch=16 "
        "--set g.width=8 --set d.width=8 --set sample.every=0 --set checkpoint.keep=1 --resume --steps {}",
        environment, test::on_ranks(2), SADDLE_BINARY, folder / "ring", run, steps));
  };
  ok(SADDLE_BINARY " pack ring8 --samples 200 --seed 1 --out " + (folder / "ring"));
  train("", 10);
  const Checkpoint before = *load_checkpoint(checkpoints);
  Disk disk(checkpoints);
  disk.read();
  train(fmt::format("LD_PRELOAD={} SADDLE_CRASH_FOLDER={} SADDLE_CRASH_LOG={}", SADDLE_CRASH_RECORDER,
                    checkpoints, log),
        20);
  const Checkpoint after = *load_checkpoint(checkpoints);
  ASSERT_EQ(before.step, 10);
  ASSERT_EQ(after.step, 20);

  const auto same = [](const State& a, const State& b) {
    return a.numbers == b.numbers && a.tensors.size() == b.tensors.size() &&
           std::all_of(a.tensors.begin(), a.tensors.end(),
                       [&](const auto& item) { return torch::equal(item.second, b.tensors.at(item.first)); });
  };
  const std::vector<Operation> operations = read_log(log);
  std::map<std::string, int> count;
  for (const Operation& o : operations) ++count[o.name];
  EXPECT_GT(count["write"], 30) << "two files of tensors and a manifest";
  EXPECT_EQ(count["rename"], 3) << "the manifest, the new checkpoint, and the old one out of the way";
  EXPECT_GT(count["fsync"], 4);
  EXPECT_GT(count["remove"], 3);
  bool durable = false, published = false;
  int crashes = 0;
  for (size_t i = 0; i <= operations.size(); ++i) {
    for (const Crash& crash :
         {Crash{"killed", true, 1}, Crash{"power cut, names kept, data lost", true, 0},
          Crash{"power cut, names kept, data torn", true, 0.5}, Crash{"power cut, names lost", false, 0},
          Crash{"power cut, data kept", false, 1}}) {
      SCOPED_TRACE(fmt::format("{} before operation {} of {}", crash.name, i, operations.size()));
      const std::string there = folder / "crashed";
      fs::remove_all(there);
      disk.write(there, crash);
      const auto loaded = load_checkpoint(there);
      ++crashes;
      ASSERT_TRUE(loaded);
      ASSERT_TRUE(loaded->step == 10 || loaded->step == 20);
      ASSERT_TRUE(loaded->step == 20 || !durable) << "it was said to be saved";
      ASSERT_TRUE(same(loaded->state, loaded->step == 10 ? before.state : after.state));
    }
    if (i == operations.size()) break;
    disk.apply(operations[i]);
    published |= operations[i].name == "rename" && operations[i].other.ends_with("step-0000000020");
    durable |= published && operations[i].name == "fsync" && operations[i].path == checkpoints;
  }
  EXPECT_TRUE(durable);
  std::cout << crashes << " crashes around " << operations.size() << " operations" << std::endl;
}

}  // namespace
}  // namespace saddle
