// Which importer takes a source, and what is none: sets that are packed already, runs, the output folder
// itself.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <sstream>

#include "data/pack/classes.h"
#include "data/pack/files/files.h"
#include "data/pack/importers.h"
#include "data/pack/pack.h"
#include "dist/error.h"

namespace saddle {
namespace {

namespace fs = std::filesystem;

bool heeds(const Importer& importer, const std::string& flag) {
  std::istringstream flags(importer.flags);
  return std::find(std::istream_iterator<std::string>(flags), {}, flag) !=
         std::istream_iterator<std::string>();
}

// What this program wrote itself is no source.
void refuse_own(const std::string& source) {
  const auto holds = [&](const std::string& name) { return fs::exists(fs::path(source) / name); };
  const auto packed = [&](const std::string& part) {
    return holds(part + shard_name(0)) && (holds(part + kIndexFile) || holds(part + kPlanFile));
  };
  require(!packed(""), Exit::usage,
          "{0}: is packed already; `saddle check {0}` describes it, `saddle train --data {0}` reads it",
          source);
  require(!packed("train/"), Exit::usage,
          "{0}: is packed already, into train/ and validation/; `saddle train --data {0}/train` reads it",
          source);
  require(!holds("options.toml") || !holds("checkpoints"), Exit::usage,
          "{0}: is the folder of a run, no source; `saddle sample {0}` draws from it", source);
}

fs::path real_path(const std::string& path) {
  std::string whole = fs::absolute(path).lexically_normal().string();
  if (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  std::error_code error;
  const fs::path real = fs::weakly_canonical(whole, error);
  return error ? fs::path(whole) : real;
}

bool lies_in(const fs::path& inner, const fs::path& outer) {
  return std::mismatch(outer.begin(), outer.end(), inner.begin(), inner.end()).first == outer.end();
}

// Else the next pack would find this one among its files, or this one would take its source for rubble.
void refuse_itself(const PackRequest& request) {
  if (request.out.empty()) return;
  const fs::path source = real_path(request.source), out = real_path(request.out);
  require(source != out, Exit::usage, "--out {}: is the source itself; choose another folder", request.out);
  require(!lies_in(out, source), Exit::usage,
          "--out {}: lies in the source {} and would be taken for a part of it; choose a folder beside it",
          request.out, request.source);
  require(!lies_in(source, out), Exit::usage, "--out {}: holds the source {}; choose a folder of its own",
          request.out, request.source);
}

// What is neither would be waited for.
void require_file_or_folder(const std::string& source) {
  std::error_code none;
  const fs::file_status status = fs::status(source, none);
  require(!fs::exists(status) || fs::is_regular_file(status) || fs::is_directory(status), Exit::data,
          "{}: expected a file or a folder, found a FIFO, a socket or a device", source);
}

struct Chosen {
  const Importer* importer;
  std::string why;
};

Chosen find_importer(const PackRequest& request) {
  require(!request.source.empty(), Exit::usage, "SOURCE: expected{}; found an empty name", importer_help());
  if (request.as.empty() ? !kMixtures.accepts(request) : request.as != kMixtures.name) {
    require_reachable(request.source);
    require_file_or_folder(request.source);
    refuse_own(request.source);
    refuse_itself(request);
  }
  for (const Importer* importer : importers())
    if (request.as == importer->name)
      return {importer, fmt::format("as --as {} asks", request.as)};
    else if (const Why why = request.as.empty() ? importer->accepts(request) : std::nullopt)
      return {importer, *why};
  require(request.as.empty(), Exit::usage, "--as {}: no such kind of source; there are{}", request.as,
          importer_help());
  const bool archive = fs::path(request.source).extension() == ".zip";
  fail(Exit::usage, "{}: {}; SOURCE may be{}", request.source,
       !fs::exists(request.source)              ? "no such file, folder or generated set"
       : archive && !is_archive(request.source) ? "no ZIP archive, for it does not begin as one"
       : archive                                ? "an archive without pictures"
                                                : "not a source that is known",
       importer_help());
}

}  // namespace

std::string importer_help() {
  std::string all;
  for (const Importer* importer : importers())
    all += fmt::format("\n  {}: {}", importer->name, importer->takes);
  return all;
}

Source open_source(const PackRequest& request) {
  const auto [chosen, why] = find_importer(request);
  const Importer& importer = *chosen;
  for (const auto& [flag, value] : request.given)
    require(heeds(importer, flag), Exit::usage,
            "--{}: means nothing for a source of kind {}, which heeds{}{}", flag, importer.name,
            *importer.flags ? " " : " no flags of its own", importer.flags);
  Source source = importer.open(request);
  source.importer = importer.name, source.why = why;
  name_classes(source, request);
  return source;
}

}  // namespace saddle
