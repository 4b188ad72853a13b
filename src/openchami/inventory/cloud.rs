//! The records of `--cloud-init DIR` in the inventory.

use crate::openchami::cloud_init::files::CloudFiles;

use super::Inventory;

impl Inventory {
    /// Lays what the folder states into an inventory whose file layer holds nothing of cloud-init yet.
    pub fn lay_cloud_files(&mut self, files: &CloudFiles) {
        if let Some(defaults) = &files.defaults {
            self.lay_filed(defaults.clone());
        }
        for group in &files.groups {
            self.lay_filed(group.clone());
        }
        for info in &files.infos {
            self.lay_filed(info.clone());
        }
    }
}
