//! Secrets, which stand in files of their own: which files a configuration names for them, and what
//! such a file has to be. Whoever reads it hands in what was found.
//!
//! **A secret that others could read is not taken**: it is none any more.

use crate::{Config, Feed, Loaded, Origin};
use std::io::{self, Read};
use std::path::Path;

/// Permissions that a secret's file must not have: anything for others, writing for the group.
pub const SECRET_FORBIDDEN_MODE: u32 = 0o027;
/// The longest file of a secret, in octets.
const FILE_MAX: usize = 4096;
/// Octets of a key of TCP MD5 at most (`TCP_MD5SIG_MAXKEYLEN`).
pub const TCP_MD5_KEY_MAX: usize = 80;

/// A file that a configuration names for the secret in its first line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile<'c> {
    /// Whose it is, e.g. `neighbor 10.0.0.2`.
    pub whose: String,
    /// The file.
    pub path: &'c Path,
    /// Octets of the secret at most.
    longest: usize,
}

impl Config {
    /// The files that it names for secrets, each once.
    pub fn secret_files(&self) -> Vec<SecretFile<'_>> {
        let of_neighbors = self.neighbors.iter().map(|n| (format!("neighbor {}", n.id), n));
        let of_groups =
            self.dynamic_groups.iter().map(|g| (format!("group {}", g.name), &g.neighbor));
        let mut files: Vec<SecretFile<'_>> = Vec::new();
        for (whose, neighbor) in of_neighbors.chain(of_groups) {
            let Some(path) = neighbor.password_file.as_deref() else { continue };
            if !files.iter().any(|known| known.path == path) {
                files.push(SecretFile::tcp_md5(whose, path));
            }
        }
        if let Feed::Nut { password_file: Some(path), .. } = &self.energy.feed {
            files.push(SecretFile::login("energy feed", path));
        }
        files
    }
}

impl Loaded {
    /// Where a file of a secret is named: the source and the line.
    pub fn names_secret(&self, file: &SecretFile<'_>) -> Option<(&str, usize)> {
        let value = format!("\"{}\"", file.path.display());
        let named = |key: &str| key.ends_with("password-file");
        let mut lines = self.lines.iter().filter(|line| named(&line.key) && line.value == value);
        lines.find_map(|line| match &line.origin {
            Origin::File { file, line, .. } => Some((file.as_str(), *line)),
            _ => None,
        })
    }
}

impl<'c> SecretFile<'c> {
    /// That of a key of TCP MD5.
    pub fn tcp_md5(whose: impl Into<String>, path: &'c Path) -> Self {
        Self { whose: whose.into(), path, longest: TCP_MD5_KEY_MAX }
    }

    /// That of a password, which may be as long as its file.
    pub fn login(whose: impl Into<String>, path: &'c Path) -> Self {
        Self { whose: whose.into(), path, longest: FILE_MAX }
    }

    /// What stands in its file, as much as can be of use: the whole of a good one, and of one that is
    /// too long enough for [`SecretFile::secret`] to tell.
    ///
    /// # Errors
    /// That of reading.
    pub fn text(file: impl Read) -> io::Result<String> {
        let mut text = String::new();
        let limit = u64::try_from(FILE_MAX).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_string(&mut text)?;
        Ok(text)
    }

    /// The secret, given the permissions of its file and [what stands there](Self::text).
    ///
    /// # Errors
    /// The file's name and what is wrong with it.
    pub fn secret<'t>(&self, mode: u32, text: &'t str) -> Result<&'t str, String> {
        let shown = self.path.display();
        if mode & SECRET_FORBIDDEN_MODE != 0 {
            return Err(format!(
                "{shown} has mode {:03o}: others could read it; chmod 640 {shown}",
                mode & 0o777
            ));
        }
        if text.len() > FILE_MAX {
            return Err(format!("{shown} is longer than {FILE_MAX} octets: it is no password"));
        }
        let secret = text.lines().next().unwrap_or_default();
        if secret.is_empty() {
            return Err(format!("{shown}: its first line is empty; write the password there"));
        }
        if secret.len() > self.longest {
            let (length, longest) = (secret.len(), self.longest);
            return Err(format!("{shown}: {length} octets, and TCP MD5 takes {longest} at most"));
        }
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, load};

    fn judge(mode: u32, text: &str) -> Result<&str, String> {
        let path = Path::new("/etc/evpnd/key");
        SecretFile::tcp_md5("neighbor x", path).secret(mode, text)
    }

    #[test]
    fn the_first_line_of_a_private_file_is_the_secret() {
        assert_eq!(judge(0o100_600, "geheim\r\nmore\n"), Ok("geheim"));
        assert_eq!(judge(0o640, "geheim"), Ok("geheim"));
        assert_eq!(judge(0o640, &"x".repeat(TCP_MD5_KEY_MAX)).map(str::len), Ok(80));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused_with_the_remedy() {
        for mode in [0o644, 0o604, 0o660, 0o777] {
            let why = judge(mode, "geheim").unwrap_err();
            assert!(why.contains("chmod 640") && !why.contains("geheim"), "{why}");
        }
    }

    #[test]
    fn a_file_without_a_secret_or_with_too_long_a_one_is_refused() {
        for text in ["", "\n", "\r\n", "\nx"] {
            assert!(judge(0o600, text).unwrap_err().contains("first line is empty"), "{text:?}");
        }
        assert!(judge(0o600, &"x".repeat(81)).unwrap_err().contains("81 octets"));
        assert!(judge(0o600, &"x\n".repeat(4096)).unwrap_err().contains("longer than 4096"));
    }

    #[test]
    fn every_file_is_named_once_with_who_needs_it_and_where_it_is_written() {
        let text = "[router]\nas = 65001\n\
                    [[group]]\nname = \"g\"\nas = 65003\nlisten = [\"10.1.0.0/24\"]\n\
                    password-file = \"/g\"\n\
                    [[neighbor]]\naddress = \"10.0.0.2\"\nas = 65002\npassword-file = \"/n\"\n\
                    [[neighbor]]\naddress = \"10.0.0.3\"\nas = 65002\npassword-file = \"/n\"\n\
                    [[neighbor]]\naddress = \"10.0.0.4\"\nas = 65002\n\
                    [energy]\nsite = \"a\"\n\
                    feed = { type = \"nut\", ups = \"u\", username = \"u\", password-file = \"/f\" }\n";
        let loaded = load(&[Source::new("evpnd.toml", text)]).unwrap();
        let files = loaded.config.secret_files();
        let told: Vec<_> = files
            .iter()
            .map(|file| {
                (file.whose.as_str(), file.path.to_str().unwrap(), loaded.names_secret(file))
            })
            .collect();
        let at = |line| Some(("evpnd.toml", line));
        assert_eq!(
            told,
            [
                ("neighbor 10.0.0.2", "/n", at(11)),
                ("group g", "/g", at(7)),
                ("energy feed", "/f", at(21)),
            ]
        );
    }
}
