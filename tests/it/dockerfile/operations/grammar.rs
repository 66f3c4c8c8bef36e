//! Random lines of a shell: commands for the files of the base, in every spelling, with words in between that only a shell
//! that runs understands. The texts of a table are separated by `¦`.

/// A pseudo-random number generator, so that every run has the same lines.
pub struct Grammar(u64);

/// The variables of the lines.
pub const VARIABLES: [(&str, &str); 9] = [
    ("T", "tree"),
    ("P", "/srv/real"),
    ("W", "with blank"),
    ("B", " two  words "),
    ("GLOB", "*.txt"),
    ("EMPTY", ""),
    ("BACK", r"a\b"),
    ("QUOTE", "it's"),
    ("R", "rm"),
];

/// Paths of the base, and some that it does not have.
const PATHS: &str = "\
    a.txt¦b.txt¦run.sh¦set¦.hidden¦tree¦tree¦tree/¦tree/a.txt¦tree/sub¦tree/sub/¦tree/sub/c.txt¦\
    tree/link¦tree/.dot¦empty¦empty/¦dir-link¦dir-link/¦dir-link/f¦file-link¦file-link/¦dangling¦\
    dangling/x¦one¦two¦upper¦with blank¦-dash¦*¦[x]¦back\\slash¦.hid¦.hid/x¦./a.txt¦./-dash¦\
    tree/../b.txt¦tree//a.txt¦../task/a.txt¦dir-link/../real/f¦none¦none/x¦a.txt/x¦/srv/real¦\
    /srv/real/f¦/srv/shared¦/opt¦/tmp¦/opt/x¦/none¦..¦.¦tree/.";

/// Names for new files.
const NEW: &str = "\
    new¦new¦n1¦n2¦new/deep/er¦tree/new¦/opt/new¦/srv/shared/new¦dir-link/new¦new name¦.new¦empty/new¦\
    n*¦/tmp/n¦#n¦~n";

const PATTERNS: &str = "\
    *¦*.txt¦t*¦tr??¦?.txt¦[ab].txt¦[!a].txt¦[a-c].txt¦[0-9]*¦*/a.txt¦tree/*¦*/*¦t*/s*/c*¦/srv/*¦\
    /srv/*/f¦./*¦../t*/*.sh¦none*¦*none*/x¦'*'¦\\*¦\"*\"¦'*'*¦\"tr\"*¦*\\.txt¦*'.txt'¦.h*¦.[!.]*¦..?*¦\
    .*¦*/¦tree/*/¦**¦[[]x]¦$T/*¦$GLOB";

/// What only a shell that runs does, or what shells read differently.
const ODD: &str = "\
    || true¦| cat¦&¦$(echo x)¦`echo x`¦\"$(echo x)\"¦$'x'¦$\"x\"¦~¦~root¦x=~¦{a,b}¦{1..3}¦(¦)¦(true)¦\
    { true; }¦>|f¦<a.txt¦<none¦2>&1 >f¦>f 2>&1¦&>f¦>&f¦>f >g¦2>f¦3>f¦>>f 2>>g¦> $B¦> $GLOB¦>''¦!¦\
    ! true¦if true; then touch x; fi¦for i in a b; do touch $i; done¦while false; do true; done¦\
    case a in a) touch x;; esac¦f() { touch x; }¦$?¦$#¦$0¦$$¦$!¦$-¦$@¦\"$@\"¦\"$*\"¦$1¦${10}¦${X:=y}¦\
    ${X=y}¦${T:?}¦${#T}¦${T%e}¦${T#t}¦${T/e/x}¦${T:0:1}¦${!T}¦${T-'a b'}¦${NONE-a b}¦${NONE:-*}¦\
    ${NONE:-\"a b\"}¦${NONE+x}y¦\"${NONE:-$B}\"¦${NONE:-$B}¦IFS=e¦IFS=e; touch $T¦PATH=/x¦\
    PATH=/x touch y¦HOME=/opt¦CDPATH=/srv¦umask 077¦set -u¦set -f¦set -C¦set -x¦set -a¦set +e¦\
    set -- a b¦alias ls=rm¦eval touch x¦exec touch x¦trap 'touch x' EXIT¦unset T¦readonly T=1¦\
    export T¦export T=x; touch $T¦. ./x¦time true¦command rm a.txt¦\\rm a.txt¦r''m a.txt¦'rm' a.txt¦\
    $R a.txt¦$R$EMPTY b.txt¦shift¦return¦exit¦wait¦UID=1¦PWD=/opt¦_=x¦$T[0]¦$T.x¦$BACK¦\"$BACK\"¦\
    $((1+1))¦a#b";

/// Pieces of text that end words, or do not.
const PIECES: &str = "\
    '¦\"¦\\¦\\\n¦\n¦\n\n¦\t¦\r¦\u{b}¦\u{a0}¦é¦ ¦;¦;;¦&&¦|¦||¦#¦ # x¦ #x\n¦$¦$T¦${T}¦${NONE:-¦}¦{}¦{¦*¦\
    ?¦[¦]¦!¦~¦=¦--¦-¦''¦\"\"¦>¦>>¦<¦\"\\$T\"¦\"\\a\"¦\\\\";

impl Grammar {
    pub fn new(seed: u64) -> Grammar {
        Grammar(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    /// One of the texts of a table.
    fn pick(&mut self, table: &'static str) -> &'static str {
        let texts: Vec<&str> = table.split('¦').collect();
        texts[self.below(texts.len())]
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        if self.chance(12) {
            line += self.pick("set -e; ¦set -e\n¦set -eu; ¦set -ex && ¦set -o errexit; ¦set -u\n");
        }
        if self.chance(12) {
            line += self.pick(
                "T=empty; ¦T=$B; ¦T=\"$B\" && ¦N=new T=$N; ¦export T=none; ¦T= ; ¦W='a  b'; ¦T=tree/*; ",
            );
        }
        for number in 0..=self.below(4) {
            if number > 0 {
                line += self.pick(" && ¦ && ¦&&¦; ¦; ¦;¦\n¦ &&\n¦ ;\n# a 'comment\n¦ && \\\n  ");
            }
            line += &self.command();
            if self.chance(4) {
                line += &format!(" {}", self.pick(ODD));
            }
        }
        match self.below(20) {
            0 => line = format!("{} {line}", self.pick(ODD)),
            1 => {
                line += self
                    .pick(" && cat a.txt > seen¦; echo \"$T\" > seen¦ && echo $W > seen¦; echo end >> seen")
            }
            2 | 3 => {
                let places: Vec<usize> = line.char_indices().map(|(at, _)| at).collect();
                let at = places[self.below(places.len())];
                line.insert_str(at, self.pick(PIECES));
            }
            _ => {}
        }
        line
    }

    fn command(&mut self) -> String {
        let command = match self.below(19) {
            0 | 1 => format!("mkdir {}{}", self.pick("¦-p ¦-p ¦-m 700 ¦-pm 0750 ¦-v -- "), self.new_paths()),
            2 | 3 => format!("rm {}{}", self.pick("¦-r ¦-rf ¦-rf ¦-f ¦-fr -- ¦-R "), self.paths(3)),
            4 => format!("rmdir {}{}", self.pick("¦-p "), self.paths(2)),
            5 | 6 => {
                let options = "¦-r ¦-R ¦-a ¦-p ¦-rp ¦-d ¦-P ¦-L ¦-rL ¦-rT ¦-f ¦-rH ";
                format!("cp {}{} {}", self.pick(options), self.paths(2), self.target())
            }
            7 | 8 => format!("mv {}{} {}", self.pick("¦¦-f ¦-T "), self.paths(2), self.target()),
            9 => format!("cp -t {} {}", self.path(), self.paths(2)),
            10 => {
                let options = "-s ¦-s ¦-sf ¦-sfn ¦-snf ¦-f ¦¦-sT ¦-sfT ";
                format!("ln {}{} {}", self.pick(options), self.paths(1), self.target())
            }
            11 => {
                let modes =
                    "755¦0600¦+x¦a+x¦u=rw,go=r¦go-rwx¦u+s¦-R 755¦-R go=u¦-R u=rwX,go=rX¦1777¦-x¦o=¦=r";
                format!("chmod {} {}", self.pick(modes), self.paths(2))
            }
            12 => {
                let owners = "app¦app:staff¦:50¦-R 7:8¦-h app¦root:root¦-R app:app¦1000:";
                format!("chown {} {}", self.pick(owners), self.paths(2))
            }
            13 => format!("touch {}{}", self.pick("¦-c ¦-- "), self.new_paths()),
            14 | 15 => self.writing(),
            16 => self.find(),
            17 => format!("cd {}", self.word("tree¦empty¦dir-link¦/srv¦..¦.¦none¦tree/sub¦../..¦a.txt")),
            _ => self
                .pick("ls¦: ¦true¦ls -la¦echo done¦ls tree¦cat a.txt¦: > made¦> made¦>> b.txt¦mkdir -p¦rm -f")
                .to_owned(),
        };
        match self.below(30) {
            0 => format!("{command} >/dev/null"),
            1 => format!("{command} 2>/dev/null"),
            2 => format!("{command} > /dev/null 2>&1"),
            3 => format!("X=1 {command}"),
            4 => format!("  {command}\t"),
            5 => format!("/bin/{command}"),
            6 => format!("{command} {}", self.pick("-r¦-f¦-p¦--¦-v¦-R")),
            _ => command,
        }
    }

    fn writing(&mut self) -> String {
        let output = format!(
            "{} {}",
            self.pick(">¦>¦>>¦1>"),
            if self.chance(60) { self.new_path() } else { self.path() }
        );
        let words = match self.below(6) {
            0 => format!("cat {}", self.paths(3)),
            1 => {
                let formats = "'%s\\n'¦'a%%b\\tc\\n'¦\"%s-%s|\"¦'\\101\\60'¦%d¦'x'¦'%s'¦\"$T\\n\"¦'%d:%s\\n'";
                let arguments = "¦ a¦ 1 b¦ \"$B\" c d¦ 12 '' 3 x¦ $B";
                format!("printf {}{}", self.pick(formats), self.pick(arguments))
            }
            2 => ":".to_owned(),
            _ => {
                let words = "a b¦'a  b'¦\"$B\"¦$B¦-n x¦\"$T\" ${T}x¦$NONE¦¦\"it's\"¦'#no' # yes¦a\\ b¦$QUOTE¦\"\\\"q\\\"\"¦x$¦-n¦a=$T¦'a\nb'";
                format!("echo {}", self.pick(words))
            }
        };
        if self.chance(15) { format!("{output} {words}") } else { format!("{words} {output}") }
    }

    fn find(&mut self) -> String {
        let roots = self.pick("¦.¦tree¦/srv¦. /srv¦tree/¦$T¦dir-link¦dir-link/¦t*");
        let mut text = format!("find {roots}");
        for _ in 0..self.below(3) {
            text += self.pick(" -name '*.txt'¦ -type f¦ -type d¦ -type l¦ -mindepth 1¦ -maxdepth 1¦ ! -name 'a*'¦ -empty¦ -path '*sub*'¦ \\( -name 'a*' -o -name '*.sh' \\)¦ -iname 'A*'¦ -not -type d¦ -name *.txt¦ -name .*¦ -o -name x¦ -name \"$T\"");
        }
        text + self.pick(" -delete¦ -delete¦ -exec rm -f {} +¦ -exec rm -rf {} +¦ -exec rm {} \\;¦ -exec chmod 700 {} \\;¦ -exec chmod go-rwx {} +¦ -print¦¦ -exec chmod -R 711 '{}' ';'¦ -exec touch {} \\;¦ -exec rm -rf {} \\;")
    }

    fn target(&mut self) -> String {
        if self.chance(50) { self.new_path() } else { self.path() }
    }

    fn paths(&mut self, most: usize) -> String {
        let count = 1 + self.below(most);
        let words: Vec<String> = (0..count)
            .map(|_| if self.chance(25) { self.pick(PATTERNS).to_owned() } else { self.path() })
            .collect();
        words.join(self.pick(" ¦ ¦  ¦ \\\n "))
    }

    fn new_paths(&mut self) -> String {
        let words: Vec<String> = (0..=self.below(2))
            .map(|_| if self.chance(70) { self.new_path() } else { self.path() })
            .collect();
        words.join(" ")
    }

    fn path(&mut self) -> String {
        match self.below(14) {
            0 => self.pick("$T¦${T}¦\"$T\"¦$T/a.txt¦\"${T}/sub\"¦${NONE:-tree}¦${T:+a.txt}¦$P/f¦\"$W\"¦$W¦$QUOTE¦$NONE¦\"$NONE\"¦''¦$EMPTY¦$B").to_owned(),
            _ => self.word(PATHS),
        }
    }

    fn new_path(&mut self) -> String {
        self.word(NEW)
    }

    /// One of these texts, in any spelling.
    fn word(&mut self, texts: &'static str) -> String {
        let text = self.pick(texts);
        let is_plain = text.chars().all(|c| c.is_alphanumeric() || "./-_".contains(c));
        match self.below(10) {
            0 => format!("'{text}'"),
            1 => format!("\"{}\"", text.replace('\\', "\\\\")),
            2 => text
                .chars()
                .map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("\\{c}") })
                .collect(),
            3 if is_plain && text.len() > 1 => format!("{}\"{}\"", &text[..1], &text[1..]),
            4 if is_plain && text.len() > 1 => format!("'{}'{}", &text[..1], &text[1..]),
            // Not quoted, although it may have to be.
            5 => text.to_owned(),
            _ if is_plain => text.to_owned(),
            _ => format!("'{text}'"),
        }
    }
}
