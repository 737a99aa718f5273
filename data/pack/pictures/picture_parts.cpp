#include "data/pack/pictures/picture_parts.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <unordered_map>

#include "data/pack/load.h"
#include "data/view/picture.h"
#include "dist/error.h"
#include "dist/log.h"

namespace saddle {
namespace {

// Of all the headers that can be read; damaged ones are left to the samples, which count them.
struct Scan {
  size_t first = 0, read = 0, grey = 0, deep = 0, turned = 0;
  PictureInfo reference;
  std::string damage;  // of the first that cannot
};

// Where it may be why two shapes differ.
const char* hint_of_turning(const PictureInfo& a, const PictureInfo& b, Exif exif) {
  const bool one = exif == Exif::upright && (a.orientation >= 5) != (b.orientation >= 5);
  return one ? ", one of which EXIF turns (--exif keep leaves it)" : "";
}

void scan_one(const Files& files, size_t i, const PackRequest& request, Scan& all) {
  const Exif exif = exif_of(request);
  const PictureInfo found = info_of(files, i, exif, request.most_bytes());
  if (all.read++ == 0) all.first = i, all.reference = found;
  all.grey += found.channels < 3;
  all.deep += found.bits == 16;
  all.turned += exif == Exif::upright && found.orientation != 1;
  require(request.size || (found.height == all.reference.height && found.width == all.reference.width),
          Exit::usage, "pictures differ in size: {} is {}x{}, {} is {}x{}{}; pass --size HEIGHTxWIDTH",
          files.path(all.first), all.reference.height, all.reference.width, files.path(i), found.height,
          found.width, hint_of_turning(all.reference, found, exif));
}

Scan scan(const Files& files, const PackRequest& request) {
  Scan all;
  for (size_t i = 0; i < files.count(); ++i) try {
      scan_one(files, i, request, all);
    } catch (const Error& error) {
      if (error.kind != Exit::data) throw;
      if (all.damage.empty()) all.damage = error.what();
    }
  require(all.read > 0, Exit::data, "{}: none of {} pictures can be read, the first: {}", request.source,
          files.count(), all.damage);
  return all;
}

// What is made equal, of pictures that differ.
std::vector<std::string> mixture(const Scan& seen, const Fit& fit) {
  std::vector<std::string> notes;
  if (seen.grey > 0 && seen.grey < seen.read)
    notes.push_back(fmt::format("{} of {} pictures are grey among colour; all are packed with {}", seen.grey,
                                seen.read,
                                fit.channels == 1 ? "1 channel" : fmt::format("{} channels", fit.channels)));
  if (seen.deep > 0 && seen.deep < seen.read)
    notes.push_back(fmt::format("{} of {} pictures have 16 bits among 8; all are packed with {} (--bits)",
                                seen.deep, seen.read, fit.bits));
  return notes;
}

// What there is where no picture is: "3 .gif, 1 .txt".
std::string instead(const LeftOut& left_out) {
  constexpr size_t kShown = 5;
  std::vector<std::string> out;
  for (const auto& [kind, files] : left_out)
    if (kind.first == kUnread && out.size() < kShown)
      out.push_back(fmt::format("{} {}", files, kind.second.empty() ? "without ending" : kind.second));
  return out.empty() ? "none" : fmt::format("only {}", fmt::join(out, ", "));
}

CommonFit asked_for(const PackRequest& request) {
  require(request.crop == "center" || request.crop == "none" || request.crop == "pad", Exit::usage,
          "--crop: expected center, none or pad, found {}", request.crop);
  const CommonFit fit{{.channels = request.channels,
                       .size = request.size.value_or(ImageSize{}),
                       .bits = request.bits,
                       .filter = request.filter,
                       .crop = request.crop,
                       .background = parse_colour(request.background)},
                      exif_of(request),
                      request.most_bytes()};
  constexpr int64_t kMost = int64_t{1} << 16;
  require(fit.size.height <= kMost && fit.size.width <= kMost, Exit::usage,
          "--size: expected at most {0}x{0}, found {1}x{2}", kMost, fit.size.height, fit.size.width);
  resize(torch::zeros({1, 1, 1}), {.height = 1, .width = 2}, fit.filter);  // refuses unknown ones
  return fit;
}

// Of a picture that is otherwise than its header said, as where EXIF follows the pixels.
void require_own_size(const std::string& path, const torch::Tensor& picture, const CommonFit& fit) {
  require(!fit.own_size || (picture.size(1) == fit.size.height && picture.size(2) == fit.size.width),
          Exit::data, "{}: has {}x{} pixels, the others {}x{}; pass --size HEIGHTxWIDTH", path,
          picture.size(1), picture.size(2), fit.size.height, fit.size.width);
}

[[noreturn]] void fail_alone(const Files& files, const std::vector<size_t>& alone, const Files& others) {
  constexpr size_t kShown = 5;
  std::string names;
  for (size_t k = 0; k < std::min(kShown, alone.size()); ++k)
    names += fmt::format("{}{}", k ? ", " : "", files.names()[alone[k]]);
  fail(Exit::data, "{} of {} files have no partner of their name in {}: {}{}", alone.size(), files.count(),
       others.identity().at("source").get<std::string>(), names, alone.size() > kShown ? ", ..." : "");
}

std::unordered_map<std::string, size_t> by_stem(const Files& files) {
  std::unordered_map<std::string, size_t> out;
  for (size_t i = 0; i < files.count(); ++i) {
    const auto [at, fresh] = out.emplace(stem_of(files.names()[i]), i);
    require(fresh, Exit::data, "{} and {} have one name but for their endings: which is meant?",
            files.path(at->second), files.path(i));
  }
  return out;
}

PicturePart mask_part(FileSet files, const std::string& path, const CommonFit& fit) {
  const FileSet masks = open_pictures(path);
  const Fit how{.channels = 1, .size = fit.size, .filter = "nearest", .crop = fit.crop};
  const auto order = partners(*files, *masks, /*both=*/false);
  std::vector<std::string> notes;
  if (masks->count() > files->count())
    notes.push_back(
        fmt::format("{} of {} masks are of no picture", masks->count() - files->count(), masks->count()));
  return {.fields = {image_field("mask", 1, fit.size)},
          .add =
              [=](int64_t i, Batch& out) {
                const size_t k = order[size_t(i)];
                require_same_aspect(*files, size_t(i), *masks, k, fit);
                const torch::Tensor mask = load_mask(*masks, k, fit.exif, fit.most_bytes);
                out.set("mask", saddle::fit(mask, how).unsqueeze(0));
              },
          .provenance = {{"mask", masks->identity()}},
          .left_out = masks->left_out(),
          .notes = notes};
}

}  // namespace

bool holds_pictures(const std::string& path) {
  if (std::filesystem::is_directory(path)) return true;
  return is_archive(path) && open_files(path, is_picture)->count() > 0;
}

FileSet open_pictures(const std::string& path) {
  FileSet files = open_files(path, is_picture);
  require(files->count() > 0, Exit::data, "{}: expected PNG, JPEG, WebP, TIFF or BMP files, found {}", path,
          instead(files->left_out()));
  return files;
}

Exif exif_of(const PackRequest& request) {
  require(request.exif == "upright" || request.exif == "keep", Exit::usage,
          "--exif: expected upright or keep, found {}", request.exif);
  return request.exif == "keep" ? Exif::keep : Exif::upright;
}

CommonFit common_fit(const Files& files, const PackRequest& request) {
  CommonFit fit = asked_for(request);
  const Scan seen = scan(files, request);
  if (!request.size) fit.size = {.height = seen.reference.height, .width = seen.reference.width};
  if (!fit.channels) fit.channels = seen.grey < seen.read ? 3 : 1;
  if (!fit.bits) fit.bits = seen.deep == seen.read ? 16 : 8;
  fit.notes = mixture(seen, fit);
  fit.turned = int64_t(seen.turned), fit.seen = int64_t(seen.read), fit.own_size = !request.size;
  return fit;
}

void require_same_aspect(const Files& files, size_t i, const Files& others, size_t k, const CommonFit& fit) {
  const PictureInfo a = whole_info_of(files, i, fit.exif, fit.most_bytes),
                    b = whole_info_of(others, k, fit.exif, fit.most_bytes);
  const int64_t difference = std::abs(a.height * b.width - b.height * a.width);
  const int64_t pixel = std::max({a.height, a.width, b.height, b.width});  // what rounding may have done
  require(difference <= pixel, Exit::data, "{}: {}x{} pixels are of another shape than the {}x{} of {}{}",
          others.path(k), b.height, b.width, a.height, a.width, files.path(i),
          hint_of_turning(a, b, fit.exif));
}

std::vector<size_t> partners(const Files& files, const Files& others, bool both) {
  by_stem(files);
  const auto theirs = by_stem(others);
  std::vector<size_t> out, alone;
  std::vector<bool> taken(others.count());
  for (size_t i = 0; i < files.count(); ++i) {
    const auto at = theirs.find(stem_of(files.names()[i]));
    if (at == theirs.end())
      alone.push_back(i);
    else
      out.push_back(at->second), taken[at->second] = true;
  }
  if (!alone.empty()) fail_alone(files, alone, others);
  for (size_t k = 0; k < others.count(); ++k)
    if (both && !taken[k]) alone.push_back(k);
  if (!alone.empty()) fail_alone(others, alone, files);
  return out;
}

PicturePart picture_part(const std::string& name, FileSet files, const CommonFit& fit,
                         std::vector<size_t> order) {
  return {.fields = {image_field(name, fit.channels, fit.size, fit.bits)}, .add = [=](int64_t i, Batch& out) {
            const size_t k = order.empty() ? size_t(i) : order[size_t(i)];
            const torch::Tensor picture = load_picture(*files, k, fit.exif, fit.most_bytes);
            require_own_size(files->path(k), picture, fit);
            out.set(name, saddle::fit(picture, fit).unsqueeze(0));
          }};
}

PicturePart label_part(const Field& field, std::vector<int32_t> labels) {
  const auto shared = std::make_shared<const std::vector<int32_t>>(std::move(labels));
  const auto label = [shared](int64_t i) { return int64_t{(*shared)[size_t(i)]}; };
  PicturePart part{.fields = {field}, .add = [=, name = field.name](int64_t i, Batch& out) {
                     out.set(name, torch::full({1}, label(i), torch::kLong));
                   }};
  if (field.name == "label") part.label = label;
  return part;
}

std::vector<PicturePart> companions(FileSet files, const PackRequest& request, const CommonFit& fit) {
  std::vector<PicturePart> out;
  if (!request.mask.empty()) out.push_back(mask_part(files, request.mask, fit));
  for (const char* flag : {"separator", "decimal"})
    require(!request.was_given(flag) || !request.attributes.empty(), Exit::usage,
            "--{}: pictures have no table; it is for that of --attributes", flag);
  if (request.attributes.empty()) return out;
  for (PicturePart& part : attribute_parts(*files, request)) out.push_back(std::move(part));
  return out;
}

Source assemble(const Files& files, const CommonFit& fit, const std::vector<PicturePart>& parts) {
  Source source{
      .count = int64_t(files.count()), .provenance = files.identity(), .left_out = files.left_out()};
  source.provenance["fit"] = {{"filter", fit.filter},
                              {"crop", fit.crop},
                              {"background", fit.background},
                              {"exif", fit.exif == Exif::keep ? "keep" : "upright"}};
  source.notes = fit.notes;
  if (fit.turned > 0)
    source.notes.push_back(
        fmt::format("{} of {} pictures are turned upright, as their EXIF says; --exif keep leaves them",
                    fit.turned, fit.seen));
  std::set<std::string> names;
  for (const PicturePart& part : parts) {
    for (const Field& field : part.fields) {
      require(names.insert(field.name).second, Exit::data, "two fields are named {}; rename an attribute",
              field.name);
      source.schema.fields.push_back(field);
    }
    if (part.label) source.label = part.label;
    leave_out(source.left_out, part.left_out);
    source.provenance.update(part.provenance);
    source.notes.insert(source.notes.end(), part.notes.begin(), part.notes.end());
  }
  source.sample = [parts](int64_t i) {
    Batch out;
    for (const PicturePart& part : parts) part.add(i, out);
    return out;
  };
  return source;
}

}  // namespace saddle
