// A folder or ZIP archive of pictures. Sub-folders, if there are any, are the classes.
#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <unordered_map>

#include "data/pack/classes.h"
#include "data/pack/importers.h"
#include "data/pack/pictures/picture_parts.h"
#include "dist/error.h"
#include "dist/utf8.h"

namespace saddle {
namespace {

// The first folder on the way to a file; empty if there is none.
std::string class_of(const std::string& name) {
  const size_t slash = name.find('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

// Of every file; none if all lie beside each other. An archive's only folder is no class unless --classes
// says so.
std::vector<std::string> classes_of(const Files& files, const PackRequest& request) {
  std::vector<std::string> out;
  std::map<std::string, size_t> seen;
  for (size_t i = 0; i < files.count(); ++i) {
    out.push_back(class_of(files.names()[i]));
    if (out.back().empty() && !request.classes.empty()) out.back() = files.wrapper();
    seen.emplace(out.back(), i);
  }
  const auto stray = seen.find("");
  if (seen.size() > 1 && stray != seen.end())
    fail(Exit::data, "{}: lies beside sub-folders, which are the classes; move it into one of them",
         files.path(stray->second));
  if (stray == seen.end()) return out;
  require(request.classes.empty(), Exit::usage,
          "--classes: {} has no sub-folders, which would be its classes", request.source);
  return {};
}

// Folders below a class are no classes of their own; the first few are told.
void note_deeper(const Files& files, std::vector<std::string>& notes) {
  constexpr size_t kShown = 3;
  std::set<std::string> deeper;
  for (const std::string& name : files.names()) {
    const size_t first = name.find('/'),
                 second = first == std::string::npos ? first : name.find('/', first + 1);
    if (second != std::string::npos) deeper.insert(readable(name.substr(0, second)));
  }
  if (deeper.empty()) return;
  std::vector<std::string> shown(deeper.begin(),
                                 std::next(deeper.begin(), int(std::min(kShown, deeper.size()))));
  notes.push_back(fmt::format("{} folder{} below the classes are no classes of their own: {}{}",
                              deeper.size(), deeper.size() == 1 ? "" : "s", fmt::join(shown, ", "),
                              deeper.size() > kShown ? ", ..." : ""));
}

PicturePart class_part(const Files& files, const std::vector<std::string>& classes,
                       const PackRequest& request) {
  std::vector<std::string> notes, names = class_names(request, classes, notes, files.folders());
  std::unordered_map<std::string, int32_t> number;
  for (size_t i = 0; i < names.size(); ++i) number[names[i]] = int32_t(i), names[i] = escape_bytes(names[i]);
  std::vector<int32_t> labels;
  for (const std::string& name : classes) labels.push_back(number.at(name));
  note_deeper(files, notes);
  PicturePart part = label_part(label_field(int64_t(names.size()), names), std::move(labels));
  part.notes = std::move(notes);
  return part;
}

// "train" and the like, which are no classes.
bool is_part(std::string name) {
  for (char& c : name) c = char(std::tolower(static_cast<unsigned char>(c)));
  static const std::set<std::string> parts{"train",      "training", "val",    "valid",
                                           "validation", "test",     "testing"};
  return parts.contains(name);
}

// Parts of one set side by side would become its classes.
void refuse_parts(const Files& files, const PackRequest& request) {
  if (!request.as.empty()) return;
  std::set<std::string> parts;
  bool deep = false, others = false;
  for (const std::string& name : files.names()) {
    const std::string folder = class_of(name);
    if (!is_part(folder)) {
      others = true;
      continue;
    }
    parts.insert(folder);
    deep |= name.find('/', folder.size() + 1) != std::string::npos;
  }
  if (parts.size() < 2 && (parts.empty() || others || !deep)) return;
  std::vector<std::string> each;
  for (const std::string& part : parts)
    each.push_back(is_archive(request.source) ? part
                                              : (std::filesystem::path(request.source) / part).string());
  fail(Exit::data,
       "{}: expected folders of classes, found parts of a set: {}; {}pack each by itself: {}{}; or pass --as "
       "pictures if they are the classes",
       request.source, fmt::join(parts, ", "), is_archive(request.source) ? "unpack it and " : "",
       fmt::join(each, ", "), deep ? " (with one --classes FILE their classes have the same numbers)" : "");
}

// A table of StyleGAN's with labels would be passed over here, and the folder around it be a class.
void refuse_table_below(const PackRequest& request) {
  const std::filesystem::path source(request.source);
  if (!request.as.empty() || !std::filesystem::is_directory(source)) return;
  for (const std::string& folder : walk(request.source, /*deep=*/false).folders) {
    require_reachable((source / folder / "dataset.json").string());
    const std::string table = stylegan_table((source / folder).string());
    require(table.empty(), Exit::data,
            "{}: holds {}/{}; pack that folder, or pass --as pictures to leave the table out", request.source,
            folder, table);
  }
}

Why accepts(const PackRequest& request) {
  if (!holds_pictures(request.source)) return {};
  return is_archive(request.source) ? "a ZIP archive with pictures in it" : "a folder of no other kind";
}

Source open(const PackRequest& request) {
  refuse_table_below(request);
  const FileSet files = open_pictures(request.source);
  refuse_parts(*files, request);
  const auto classes = classes_of(*files, request);
  const CommonFit fit = common_fit(*files, request);
  std::vector<PicturePart> parts{picture_part("image", files, fit)};
  if (!classes.empty()) parts.push_back(class_part(*files, classes, request));
  for (PicturePart& part : companions(files, request, fit)) parts.push_back(std::move(part));
  return assemble(*files, fit, parts);
}

}  // namespace

const Importer kPictures{
    .name = "pictures",
    .takes = "a folder or ZIP archive of PNG, JPEG, WebP, TIFF and BMP files; sub-folders are classes",
    .flags = "size channels bits filter crop background exif mask attributes classes separator decimal",
    .accepts = accepts,
    .open = open};

}  // namespace saddle
