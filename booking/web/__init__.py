"""booking/web"""
