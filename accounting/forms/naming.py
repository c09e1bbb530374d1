"""What papers call what the book has short words for; other words stay as they are."""

CATEGORIES = {
    "general": "一般",
    "joint_national": "国家级联合项目",
    "joint_provincial": "省级联合项目",
}
UNIT_KINDS = {"enterprise": "企业", "research_institute": "科研机构", "university": "高校"}
CLAIM_STATES = {
    "open": "未提交",
    "under review": "审核中",
    "approved": "已核准",
    "paid": "已拨付",
    "owed": "应退财政",
    "withdrawn": "已撤回",
}
