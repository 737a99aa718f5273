#include "data/pack/texts/smiles_tokens.h"

#include <array>
#include <cctype>
#include <set>

namespace saddle {
namespace {

const std::set<std::string_view>& elements() {
  static const std::set<std::string_view> all{
      "H",  "He", "Li", "Be", "B",  "C",  "N",  "O",  "F",  "Ne", "Na", "Mg", "Al", "Si", "P",  "S",
      "Cl", "Ar", "K",  "Ca", "Sc", "Ti", "V",  "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge",
      "As", "Se", "Br", "Kr", "Rb", "Sr", "Y",  "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd",
      "In", "Sn", "Sb", "Te", "I",  "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd",
      "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W",  "Re", "Os", "Ir", "Pt", "Au", "Hg",
      "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U",  "Np", "Pu", "Am", "Cm",
      "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn",
      "Nh", "Fl", "Mc", "Lv", "Ts", "Og", "*",  "b",  "c",  "n",  "o",  "p",  "s",  "se", "as", "te"};
  return all;
}

bool digit(char c) {
  return c >= '0' && c <= '9';
}

// What stands between the brackets: isotope, symbol, chirality, hydrogens, charge, class.
class BracketAtom {
 public:
  explicit BracketAtom(std::string_view inside) : text_(inside) {}

  bool well_formed() {
    digits();
    if (!symbol()) return false;
    chirality();
    if (take('H')) digits();
    charge();
    if (take(':') && !digits()) return false;
    return at_ == text_.size();
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) { return peek() == c && ++at_; }

  bool digits() {
    const size_t from = at_;
    while (digit(peek())) ++at_;
    return at_ > from;
  }

  bool symbol() {
    for (const size_t letters : {2, 1})
      if (at_ + letters <= text_.size() && elements().contains(text_.substr(at_, letters))) {
        at_ += letters;
        return true;
      }
    return false;
  }

  void chirality() {  // @, @@, @TH1, @AL2, @SP3, @TB20, @OH30
    if (!take('@') || take('@')) return;
    for (const char* kind : {"TH", "AL", "SP", "TB", "OH"})
      if (text_.substr(at_).starts_with(kind)) {
        at_ += 2;
        digits();
        return;
      }
  }

  void charge() {
    const char sign = peek();
    if (sign != '+' && sign != '-') return;
    while (take(sign)) {
    }
    digits();
  }

  std::string_view text_;
  size_t at_ = 0;
};

class Smiles {
 public:
  explicit Smiles(std::string_view text) : text_(text) {}

  Tokens read() {
    while (!out_.problem && at_ < text_.size()) token();
    if (!out_.problem && text_.empty()) wrong("the line holds no SMILES");
    if (!out_.problem && bond_) wrong(kDangling, at_ - 1);
    if (!out_.problem && !branches_.empty()) wrong("a branch is opened but not closed", branches_.back());
    for (size_t ring = 0; !out_.problem && ring < rings_.size(); ++ring)
      if (rings_[ring]) wrong("a ring is opened but not closed", rings_[ring] - 1);
    return std::move(out_);
  }

 private:
  static constexpr const char* kDangling = "a bond without an atom behind it";

  void token() {
    const char c = text_[at_];
    if (c == '[') return bracket();
    if (digit(c) || c == '%') return ring();
    if (c == '(' || c == ')') return branch();
    if (text_.substr(at_, 2) == "Br" || text_.substr(at_, 2) == "Cl") return atom(2);
    if (std::string_view("BCNOPSFI*bcnops").find(c) != std::string_view::npos) return atom(1);
    if (std::string_view("-=#$:/\\.").find(c) != std::string_view::npos) return bond();
    wrong("expected an atom, a bond, a ring closure or a branch");
  }

  void bracket() {
    const size_t end = text_.find(']', at_);
    if (end == std::string_view::npos) return wrong("a bracket is opened but not closed");
    if (!BracketAtom(text_.substr(at_ + 1, end - at_ - 1)).well_formed())
      return wrong("expected an atom such as [nH] or [13C@@H2+1] in brackets");
    atom(end + 1 - at_);
  }

  void bond() {
    if (!atoms_) return wrong("a bond without an atom before it");
    if (bond_) return wrong(kDangling);
    take(1);
    bond_ = true;
  }

  void ring() {
    const bool two = text_[at_] == '%';
    const std::string_view number = text_.substr(at_ + (two ? 1 : 0), two ? 2 : 1);
    if (two && !(number.size() == 2 && digit(number[0]) && digit(number[1])))
      return wrong("expected two digits after %");
    if (!atoms_) return wrong("a ring closure without an atom");
    size_t& opened =
        rings_[two ? size_t(number[0] - '0') * 10 + size_t(number[1] - '0') : size_t(number[0] - '0')];
    opened = opened ? 0 : at_ + 1;
    take(two ? 3 : 1);
    bond_ = false;
  }

  void branch() {
    if (bond_) return wrong(kDangling);
    if (text_[at_] == '(') {
      if (!atoms_) return wrong("a branch without an atom");
      branches_.push_back(at_);
    } else {
      if (branches_.empty()) return wrong("a branch is closed but not opened");
      if (branches_.back() + 1 == at_) return wrong("a branch is empty");
      branches_.pop_back();
    }
    take(1);
  }

  void atom(size_t bytes) {
    atoms_ = true;
    bond_ = false;
    take(bytes);
  }

  void take(size_t bytes) {
    out_.list.push_back(text_.substr(at_, bytes));
    at_ += bytes;
  }

  void wrong(const char* problem) { wrong(problem, at_); }
  void wrong(const char* problem, size_t at) { out_.problem = problem, out_.at = at; }

  std::string_view text_;
  size_t at_ = 0;
  Tokens out_;
  bool atoms_ = false, bond_ = false;   // there was one; it waits for its second atom
  std::vector<size_t> branches_;        // where they begin
  std::array<size_t, 100> rings_ = {};  // 1 + where one was opened; 0: it is not
};

}  // namespace

Tokens smiles_tokens(std::string& line) {
  return Smiles(line).read();
}

}  // namespace saddle
